import API
import Analytics
import Foundation
import Postgres
import Runtime
import TestKit
import Testing

@testable import Tallyman

/// What readiness says of the source's tables.
@Suite struct SourceProbeTests {
    /// A question that could not be asked is no good answer; only that the source is away is another probe's news.
    @Test func whatCouldNotBeAskedIsNotGood() async throws {
        let settings = AnalyticsSettings(
            zone: .gmt,
            lookbackDays: 3,
            churnDays: 30,
            readsV1: false,
            isLegacy: false,
            key: TokenKey(version: 1, secret: Secret("k"))
        )
        let url = try TestPostgres.shared().freshDatabase()
        let busy = PGPool(
            PGSettings(url: Secret(url), applicationName: "tallyman-test"),
            maxConnections: 1,
            acquireTimeout: .milliseconds(50)
        )
        try await busy.withConnection { _ in
            #expect(await AnalyticsDoctor.probe(settings, busy).isOK == false)
        }
        await busy.close()
        let nobody = "postgresql://postgres@127.0.0.1:\(try FreePort.find())/postgres"
        let away = PGPool(PGSettings(url: Secret(nobody), applicationName: "tallyman-test"), maxConnections: 1)
        #expect(await AnalyticsDoctor.probe(settings, away).isOK)
        await away.close()
    }
}
