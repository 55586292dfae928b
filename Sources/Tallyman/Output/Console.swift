import Foundation
import Runtime
import Synchronization

/// How a command ended, as its exit code.
enum ExitStatus: Int32, Sendable {
    case done = 0
    case failed = 1
    case usage = 2
    case deadLetters = 3
    /// Nobody has what the command was about.
    case nobody = 4
    /// Another run holds the lease (EX_TEMPFAIL).
    case busy = 75
}

/// What a command says: people's lines, or exactly one JSON object on standard output.
final class Console: Sendable {
    let isJSON: Bool
    private let hasAnswered = Mutex(false)

    init(isJSON: Bool) {
        self.isJSON = isJSON
    }

    /// A line for people; with `--json` it goes nowhere.
    func line(_ text: String) {
        guard !isJSON else { return }
        Self.write(text + "\n", to: .standardOutput)
    }

    /// The one JSON object; without `--json` it goes nowhere. Later calls change nothing.
    func answer(_ value: JSONValue) {
        guard isJSON else { return }
        let first = hasAnswered.withLock { answered in
            defer { answered = true }
            return !answered
        }
        if first { Self.write(value.text + "\n", to: .standardOutput) }
    }

    /// Passing news on standard error, so that standard output stays what was asked for.
    func note(_ text: String) {
        Self.write(text + "\n", to: .standardError)
    }

    /// Prints a failure in the form asked for and gives the exit status it stands for.
    func fail(_ error: any Error) -> ExitStatus {
        let failure = CommandFailure(error)
        answer(failure.json)
        if !isJSON { note(failure.text) }
        return failure.status
    }

    static func write(_ text: String, to handle: FileHandle) {
        // A reader that went away (`| head`) is no failure of the command.
        try? handle.write(contentsOf: Data(text.utf8))
    }

    /// Rows and columns of a terminal; nil when it does not say.
    static func windowSize(_ descriptor: Int32) -> (rows: Int, columns: Int)? {
        var size = winsize()
        guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0, size.ws_col > 0 else {
            return nil
        }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }
}
