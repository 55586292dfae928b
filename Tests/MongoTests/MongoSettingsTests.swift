import Mongo
import Runtime
import Testing

@Suite struct MongoSettingsTests {
    private func settings(_ url: String, user: String? = nil, password: String? = nil) throws -> MongoSettings {
        try MongoSettings(
            url: Secret(url),
            user: user.map { Secret($0) },
            password: password.map { Secret($0) },
            applicationName: "tallyman-test"
        )
    }

    @Test func hostsAndDatabaseMakeTheLabel() throws {
        let settings = try settings("mongodb://ann:s3cret@db1:27018,db2/product?replicaSet=rs0&tls=true")
        #expect(settings.databaseName == "product")
        #expect(settings.label == "db1:27018,db2:27017/product")
        let effective = try settings.effective()
        #expect(effective.replicaSet == "rs0")
        #expect(effective.tls)
        #expect(try self.settings("mongodb+srv://cluster0.example.net/product").label == "cluster0.example.net/product")
    }

    @Test func credentialsAreMergedAsTheyAre() throws {
        let effective = try settings("mongodb://db/product", user: "a@b:c/d%41", password: "p@ss:/?#[]%20").effective()
        #expect(effective.user == "a@b:c/d%41", "not percent-decoded")
        #expect(effective.hasPassword)
        #expect(effective.authSource == "product")
    }

    @Test func theURLsCredentialsWin() throws {
        let effective = try settings("mongodb://ann:x%40y@db/product?authSource=admin", user: "bob", password: "z")
            .effective()
        #expect(effective.user == "ann")
        #expect(effective.authSource == "admin")
    }

    @Test func noCredentialsAreNone() throws {
        for user in [nil, ""] {
            let effective = try settings("mongodb://db/product", user: user).effective()
            #expect(effective.user == nil)
            #expect(!effective.hasPassword)
        }
    }

    @Test func timeoutsAreSetOnlyWhereTheURLHasNone() throws {
        let plain = try settings("mongodb://db/product").effective()
        #expect(plain.serverSelectionTimeoutMS == 5000)
        #expect(plain.connectTimeoutMS == 5000)
        #expect(plain.socketTimeoutMS == 30_000)
        #expect(plain.applicationName == "tallyman-test")
        let own = try settings(
            "mongodb://db/product?connectTimeoutMS=1&socketTimeoutMS=2&serverSelectionTimeoutMS=3&appName=mine"
        ).effective()
        #expect([own.connectTimeoutMS, own.socketTimeoutMS, own.serverSelectionTimeoutMS] == [1, 2, 3])
        #expect(own.applicationName == "mine")
    }

    @Test(arguments: [
        "mongodb://ann:hunter2@db", "mongodb://ann:hunter2@db/", "mongodb://ann:hunter2@@db/product", "hunter2",
        "postgres://ann:hunter2@db/product", "mongodb://ann:hunter2/@db/product", "mongodb://ann:hunter2@/product",
        "mongodb://ann:hunter2@db/product?replicaSet", "mongodb://ann:hunter2%ZZ@db/product", "",
    ])
    func aBadURLIsRefusedWithoutBeingQuoted(url: String) throws {
        let error = try #require(#expect(throws: TallyError.self) { try settings(url) })
        #expect(error.kind == .settingsInvalid)
        #expect(!String(reflecting: error).contains("hunter2"))
    }

    @Test func settingsDoNotPrintTheirSecrets() throws {
        let settings = try settings("mongodb://ann:hunter2@db/product", user: "bob", password: "hunter3")
        var dumped = ""
        dump(settings, to: &dumped)
        for text in [dumped, "\(settings)", String(reflecting: settings)] {
            #expect(!text.contains("hunter"))
        }
    }
}

@Suite struct MongoServerErrorTests {
    @Test(
        arguments: [
            (43, .sourceUnreachable), (189, .sourceUnreachable), (10107, .sourceUnreachable),
            (11600, .sourceUnreachable),
            (11602, .sourceUnreachable), (18, .credentialsRejected), (13, .permissionDenied), (50, .deadlineExceeded),
            (365, .serverBusy), (10334, .limitExceeded), (59, .unknown), (2, .unknown),
        ] as [(Int32, TallyError.Kind)]
    )
    func serverCodes(code: Int32, kind: TallyError.Kind) {
        #expect(MongoServerError(domain: .server, code: code, message: "").kind == kind)
    }

    @Test func labelsDecideForUnknownCodes() {
        let error = MongoServerError(domain: .server, code: 4242, labels: ["RetryableWriteError"], message: "")
        #expect(error.kind == .sourceUnreachable)
    }

    @Test func codesOfOtherDomainsAreNotTheServers() {
        #expect(MongoServerError(domain: .network, code: 18, message: "").kind == .sourceUnreachable)
        #expect(MongoServerError(domain: .client, code: 43, message: "").kind == .unknown)
    }
}
