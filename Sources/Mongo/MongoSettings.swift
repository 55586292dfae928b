import CLibMongoC
package import Runtime

/// Where the MongoDB server is and how long to wait for it; checked when made, without a connection.
package struct MongoSettings: Sendable {
    package let databaseName: String
    /// Hosts and database, without credentials: safe to print.
    package let label: String
    package let poolMax: Int

    private let url: Secret<String>
    private let user: Secret<String>?
    private let password: Secret<String>?
    private let applicationName: String
    private let serverSelectionTimeout: Duration
    private let connectTimeout: Duration
    private let socketTimeout: Duration

    /// - Parameters:
    ///   - url: `mongodb://` or `mongodb+srv://` with a database as path. Its options (TLS, replica set, read
    ///     preference,
    ///     authSource, time-outs, appName) go before the parameters here.
    ///   - user: used with `password` when the URL carries no user. Taken as it is: not percent-encoded. Without an
    ///     `authSource` in the URL the user is looked for in the URL's database, as the connection string standard
    ///     says.
    ///   - poolMax: sessions at the same time, at least 1.
    /// - Throws: `TallyError(.settingsInvalid)` for a URL that cannot be read or names no database; it quotes none of
    ///   it.
    package init(
        url: Secret<String>,
        user: Secret<String>? = nil,
        password: Secret<String>? = nil,
        applicationName: String,
        serverSelectionTimeout: Duration = .seconds(5),
        connectTimeout: Duration = .seconds(5),
        socketTimeout: Duration = .seconds(30),
        poolMax: Int = 4
    ) throws {
        self.url = url
        self.user = user
        self.password = password
        self.applicationName = applicationName
        self.serverSelectionTimeout = serverSelectionTimeout
        self.connectTimeout = connectTimeout
        self.socketTimeout = socketTimeout
        self.poolMax = max(1, poolMax)
        let uri = try Self.parse(url)
        guard let database = mongoc_uri_get_database(uri.pointer).map({ String(cString: $0) }), !database.isEmpty else {
            throw TallyError(
                .settingsInvalid,
                during: "mongo.settings",
                "the MongoDB URL names no database",
                remedy: "End it in the database's name: mongodb://host:27017/product"
            )
        }
        databaseName = database
        label = "\(Self.hosts(uri.pointer))/\(database)"
        _ = try makeURI()
    }

    /// What a connection will use once URL and parameters are merged; safe to print.
    package struct Effective: Sendable, Equatable {
        package let user: String?
        package let hasPassword: Bool
        package let authSource: String
        package let tls: Bool
        package let replicaSet: String?
        package let applicationName: String?
        package let serverSelectionTimeoutMS: Int
        package let connectTimeoutMS: Int
        package let socketTimeoutMS: Int
    }

    package func effective() throws -> Effective {
        let uri = try makeURI()
        let pointer = uri.pointer
        func milliseconds(_ option: String) -> Int { Int(mongoc_uri_get_option_as_int32(pointer, option, 0)) }
        return Effective(
            user: mongoc_uri_get_username(pointer).map { String(cString: $0) },
            hasPassword: mongoc_uri_get_password(pointer) != nil,
            authSource: mongoc_uri_get_auth_source(pointer).map { String(cString: $0) } ?? "admin",
            tls: mongoc_uri_get_tls(pointer),
            replicaSet: mongoc_uri_get_replica_set(pointer).map { String(cString: $0) },
            applicationName: mongoc_uri_get_appname(pointer).map { String(cString: $0) },
            serverSelectionTimeoutMS: milliseconds(MONGOC_URI_SERVERSELECTIONTIMEOUTMS),
            connectTimeoutMS: milliseconds(MONGOC_URI_CONNECTTIMEOUTMS),
            socketTimeoutMS: milliseconds(MONGOC_URI_SOCKETTIMEOUTMS)
        )
    }

    /// The URL with credentials, time-outs and application name merged in.
    func makeURI() throws -> URIHandle {
        let uri = try Self.parse(url)
        let pointer = uri.pointer
        var accepted = true
        if mongoc_uri_get_username(pointer) == nil, let user, !user.expose(\.isEmpty) {
            accepted = user.expose { mongoc_uri_set_username(pointer, $0) }
            if let password { accepted = password.expose { mongoc_uri_set_password(pointer, $0) } && accepted }
        }
        guard accepted else {
            throw TallyError(
                .settingsInvalid,
                during: "mongo.settings",
                "the MongoDB user or password is not valid UTF-8 text"
            )
        }
        let timeouts = [
            (MONGOC_URI_SERVERSELECTIONTIMEOUTMS, serverSelectionTimeout),
            (MONGOC_URI_CONNECTTIMEOUTMS, connectTimeout),
            (MONGOC_URI_SOCKETTIMEOUTMS, socketTimeout),
        ]
        for (option, timeout) in timeouts where !mongoc_uri_has_option(pointer, option) {
            // 0 would mean the driver's own default, up to five minutes.
            mongoc_uri_set_option_as_int32(pointer, option, Int32(clamping: max(1, timeout.milliseconds)))
        }
        if mongoc_uri_get_appname(pointer) == nil, !mongoc_uri_set_appname(pointer, applicationName) {
            throw TallyError(
                .settingsInvalid,
                during: "mongo.settings",
                "the application name is longer than MongoDB's 128 bytes"
            )
        }
        return uri
    }

    private static func parse(_ url: Secret<String>) throws -> URIHandle {
        MongoDriver.start()
        if let uri = url.expose({ mongoc_uri_new_with_error($0, nil) }) { return URIHandle(owning: uri) }
        // The driver's own words may quote a piece of the password.
        let known = url.expose { $0.hasPrefix("mongodb://") || $0.hasPrefix("mongodb+srv://") }
        throw TallyError(
            .settingsInvalid,
            during: "mongo.settings",
            known
                ? "the MongoDB URL cannot be read" : "the MongoDB URL does not begin with mongodb:// or mongodb+srv://",
            remedy: known
                ? "Percent-encode the characters : / ? # [ ] @ % in user and password, or give those apart"
                : nil
        )
    }

    private static func hosts(_ uri: OpaquePointer) -> String {
        if let name = mongoc_uri_get_srv_hostname(uri) { return String(cString: name) }
        var names: [String] = []
        var host = mongoc_uri_get_hosts(uri)
        while let current = host {
            names.append(String(cString: tally_host_and_port(current)))
            host = tally_host_next(current)
        }
        return names.joined(separator: ",")
    }
}
