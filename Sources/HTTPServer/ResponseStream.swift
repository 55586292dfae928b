/// A body made while it is sent.
///
/// `produce` runs in a task of its own connection and is cancelled when the client goes away, or takes nothing for the
/// write limit, or, where there is no end, ends its side. When it throws, the connection is closed without the body's
/// end, so that the client knows it is not whole. It is not run for `HEAD`.
package struct ResponseStream: Sendable {
    package typealias Write = @Sendable ([UInt8]) async throws -> Void

    /// It ends only when somebody stops it, as server-sent events do; a graceful stop then ends it at once, whole.
    package let isEndless: Bool
    /// Writes pieces one after the other; each `write` returns when the kernel has taken the piece, and throws when
    /// the client is gone.
    package let produce: @Sendable (Write) async throws -> Void

    package init(isEndless: Bool = false, _ produce: @escaping @Sendable (Write) async throws -> Void) {
        self.isEndless = isEndless
        self.produce = produce
    }

    /// Sends each element of a sequence as one piece.
    package init<Pieces: AsyncSequence & Sendable>(isEndless: Bool = false, _ pieces: Pieces)
    where Pieces.Element == [UInt8] {
        self.init(isEndless: isEndless) { write in
            for try await piece in pieces { try await write(piece) }
        }
    }
}
