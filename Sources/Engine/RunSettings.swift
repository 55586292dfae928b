package import Runtime

/// What an operator may set about all runs.
package struct RunSettings: Sendable {
    /// A stage without progress for that long is ended; nil never ends one.
    package var stallTimeout: Duration?
    /// Keep what a refused record looked like (`DEAD_LETTER_PAYLOAD=full`): it may hold personal data.
    package var keepsPayloads: Bool
    package var backoff: Backoff
    /// Runs of the same work after a process died, the first included.
    package var attemptsMax: Int

    package init(
        stallTimeout: Duration? = .seconds(600),
        keepsPayloads: Bool = false,
        backoff: Backoff = Backoff(),
        attemptsMax: Int = 3
    ) {
        self.stallTimeout = stallTimeout
        self.keepsPayloads = keepsPayloads
        self.backoff = backoff
        self.attemptsMax = attemptsMax
    }
}
