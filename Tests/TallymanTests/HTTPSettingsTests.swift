import HTTPServer
import HTTPWire
import Testing

@testable import Tallyman

@Suite struct HTTPSettingsTests {
    private func read(_ variables: [String: String]) -> (http: HTTPServerConfiguration, problems: [SettingProblem]) {
        var reader = SettingsReader { variables[$0] }
        let http = Settings.readHTTP(&reader, host: "::1", port: 1)
        return (http, reader.problems)
    }

    @Test func defaultsAreTheServersOwn() {
        let (http, problems) = read([:])
        #expect(problems.isEmpty)
        #expect(http.limits == HTTPLimits())
        #expect(http.connectionsMax == 2_000)
        #expect(http.handlerTimeout == .seconds(60))
        #expect(http.host == "::1")
    }

    @Test func theMetricsHaveAnotherPort() {
        var reader = SettingsReader { ["PORT": "4001", "METRICS_PORT": "4001"][$0] }
        let invalid = #expect(throws: SettingsInvalid.self) { try Settings.read(&reader) }
        #expect(invalid?.problems.map(\.name).contains("METRICS_PORT") == true)
    }

    @Test func everyVariableReachesItsLimit() {
        let names = SettingName.allCases.map(\.rawValue).filter { $0.hasPrefix("HTTP_") }
        let values = Dictionary(uniqueKeysWithValues: zip(names, 300...).map { ($0, "\($1)") })
        let (http, problems) = read(values.merging(["HTTP_HEAD_BYTES_MAX": "2000"]) { $1 })
        #expect(problems.isEmpty)
        let limits = http.limits
        #expect([http.connectionsMax, http.pipelinedMax, limits.requestLineBytes] == [300, 301, 302])
        #expect([limits.headBytes, limits.fieldsMax, limits.bodyBytes] == [2_000, 304, 305])
        let times = [http.headTimeout, http.bodyTimeout, http.idleTimeout, http.writeTimeout, http.handlerTimeout]
        #expect(times == (306...310).map { .seconds($0) })
    }

    @Test func aValueOutsideItsRangeIsNamed() {
        let (_, problems) = read(["HTTP_CONNECTIONS_MAX": "0", "HTTP_IDLE_SECONDS_MAX": "soon"])
        #expect(problems.map(\.name) == ["HTTP_CONNECTIONS_MAX", "HTTP_IDLE_SECONDS_MAX"])
    }
}
