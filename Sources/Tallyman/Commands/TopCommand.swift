import API
import ArgumentParser
import Foundation
import HTTPClient
import Runtime

/// The console's overview in a terminal, from the same API.
struct TopCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Watch a daemon: what is wrong, what runs, what comes next.",
        discussion: """
            On a terminal it updates in place until Ctrl-C; elsewhere it prints plain lines whenever something changed.
            With JWT_KEY it makes itself a token that may read; TALLYMAN_TOKEN is for daemons whose key is elsewhere.
            """
    )

    @OptionGroup var common: CommonOptions

    @Option(name: .long, help: "The daemon's address (default: this machine, PORT).")
    var url: String?

    @Option(name: .long, help: "Seconds between two looks, 1 to 3600.")
    var interval = 2

    @Flag(name: .long, help: "Look once and end.")
    var once = false

    func validate() throws {
        guard (1...3_600).contains(interval) else { throw ValidationError("--interval must be from 1 to 3600.") }
        if let url, address(url) == nil { throw ValidationError("--url must be like http://127.0.0.1:4000.") }
    }

    func execute(_ console: Console) async throws -> ExitStatus {
        var reader = try SettingsReader.process()
        let port = reader.int(.port, in: 0...65_535, default: 4_000)
        try reader.finish()
        guard let address = address(url ?? "http://127.0.0.1:\(port)") else {
            throw TallyError(.requestInvalid, during: "command.top", "the address is none")
        }
        let transport = URLSessionTransport(userAgent: "tallyman-top/\(ProcessSetup.version)")
        let isTerminal = Console.isTerminal(STDOUT_FILENO) && !console.isJSON
        if once || console.isJSON {
            let overview = try await look(address, transport, reader)
            console.answer(overview)
            for line in TopFrame(overview: overview, now: Date(), isColoured: isTerminal).lines { console.line(line) }
            return .done
        }
        var screen = TopScreen(isTerminal: isTerminal)
        while true {
            do {
                let overview = try await look(address, transport, reader)
                let window = isTerminal ? Console.windowSize(STDOUT_FILENO) : nil
                let frame = TopFrame(overview: overview, now: Date(), isColoured: isTerminal, window: window)
                // Ages move on by themselves; that is no news to who reads lines.
                screen.show(frame.lines, news: isTerminal ? nil : TopFrame.news(overview))
            } catch let error as TallyError where error.kind.disposition == .retry {
                screen.lost(error.summary)
            }
            try await Task.sleep(for: .seconds(interval))
        }
    }

    private func address(_ text: String) -> URL? {
        guard let url = URL(string: text), url.scheme == "http" || url.scheme == "https", url.host() != nil else {
            return nil
        }
        return url.appending(path: "api/etl/overview")
    }

    private func look(_ address: URL, _ transport: URLSessionTransport, _ reader: SettingsReader) async throws
        -> JSONValue
    {
        var request = OutboundRequest(.get, address, headers: ["Accept": "application/json"])
        if let token = try await token(reader) {
            request.secretHeaders["Authorization"] = Secret(token.expose { "Bearer \($0)" })
        }
        let limits = ExchangeLimits(idle: .seconds(10), total: .seconds(15), bodyMax: 8 << 20)
        let answer = try await transport.send(request, limits: limits)
        let body = try? JSONText.parse(answer.body)
        guard answer.status == 200, let body else {
            let detail = body?["detail"]?.string.map(TopFrame.plain) ?? "the daemon answered \(answer.status)"
            let isAccess = answer.status == 401 || answer.status == 403
            throw TallyError(
                isAccess ? .credentialsRejected : .sourceUnreachable,
                during: "command.top",
                detail,
                remedy: isAccess ? "Set TALLYMAN_TOKEN, or JWT_KEY as the daemon has it." : nil
            )
        }
        return body
    }

    /// What was given, else one of our own for a minute.
    private func token(_ reader: SettingsReader) async throws -> Secret<String>? {
        if let given = reader.secret(.token) { return given }
        guard let key = reader.secret(.jwtKey) else { return nil }
        let now = Date().timeIntervalSince1970.rounded(.down)
        let claims = AccessClaims(
            sub: ProcessInfo.processInfo.userName,
            exp: now + 60,
            iat: now,
            iss: reader.string(.jwtIssuer),
            aud: reader.string(.jwtAudience).map { [$0] } ?? [],
            scope: Scope.read.rawValue
        )
        return try await TokenVerifier(keys: [key]).sign(claims).map { Secret($0) }
    }
}

/// Where the frames go: over each other on a terminal, one below the other elsewhere.
struct TopScreen {
    let isTerminal: Bool
    private var last: [String] = []
    private var lastNews: JSONValue?
    private var lostSince: Date?

    init(isTerminal: Bool) { self.isTerminal = isTerminal }

    /// - Parameter news: what decides whether there is anything to show; nil: the lines themselves.
    mutating func show(_ lines: [String], news: JSONValue? = nil) {
        let isBack = lostSince != nil
        lostSince = nil
        if let news {
            guard isBack || news != lastNews else { return }
            lastNews = news
        }
        write(lines)
    }

    /// Says that what is shown is old, and since when.
    mutating func lost(_ reason: String) {
        let since = lostSince ?? Date()
        lostSince = since
        let word = "! connection lost at \(Timestamp.text(since)): \(reason); what follows is old"
        write([word] + last.filter { !$0.hasPrefix("! ") })
    }

    private mutating func write(_ lines: [String]) {
        guard lines != last else { return }
        Console.write(Self.text(lines, over: last, isTerminal: isTerminal), to: .standardOutput)
        last = lines
    }

    /// What to write so that `lines` stand where `old` stood.
    static func text(_ lines: [String], over old: [String], isTerminal: Bool) -> String {
        guard isTerminal else { return lines.joined(separator: "\n") + "\n\n" }
        let start = old.isEmpty ? "\u{1B}[2J\u{1B}[H" : "\u{1B}[H"
        return start + lines.map { "\($0)\u{1B}[K\n" }.joined() + "\u{1B}[J"
    }
}
