import HTTPServer
import HTTPWire

extension Settings {
    /// What a client may take of the daemon: every ceiling of the HTTP server (INV-8).
    static func readHTTP(_ reader: inout SettingsReader, host: String, port: Int) -> HTTPServerConfiguration {
        var http = HTTPServerConfiguration(host: host, port: port)
        func seconds(_ name: SettingName, _ limit: Duration) -> Duration {
            .seconds(reader.int(name, in: 1...3_600, default: Int(limit.components.seconds)))
        }
        http.connectionsMax = reader.int(.httpConnectionsMax, in: 1...100_000, default: http.connectionsMax)
        http.pipelinedMax = reader.int(.httpPipelinedMax, in: 1...10_000, default: http.pipelinedMax)
        http.limits.requestLineBytes = reader.int(
            .httpRequestLineBytesMax,
            in: 256...65_536,
            default: http.limits.requestLineBytes
        )
        http.limits.headBytes = reader.int(.httpHeadBytesMax, in: 1_024...1 << 20, default: http.limits.headBytes)
        http.limits.fieldsMax = reader.int(.httpFieldsMax, in: 8...1_000, default: http.limits.fieldsMax)
        http.limits.bodyBytes = reader.int(.httpBodyBytesMax, in: 0...1 << 30, default: http.limits.bodyBytes)
        http.headTimeout = seconds(.httpHeadSecondsMax, http.headTimeout)
        http.bodyTimeout = seconds(.httpBodySecondsMax, http.bodyTimeout)
        http.idleTimeout = seconds(.httpIdleSecondsMax, http.idleTimeout)
        http.writeTimeout = seconds(.httpWriteSecondsMax, http.writeTimeout)
        http.handlerTimeout = seconds(.httpHandlerSecondsMax, http.handlerTimeout)
        return http
    }
}
