import Crypto
import Foundation
import Glibc
import Runtime
import StreamCompression

/// Streams the lines of a bronze file, compressed or not; memory does not depend on the file.
struct BronzeReader: Sendable {
    /// Longer lines are no records; they are given as nil.
    static let lineMax = 1 << 20
    private static let pieceMax = 1 << 18

    let path: String

    struct Facts: Sendable {
        var lines = 0
        var bytes = 0
        var sha256: [UInt8] = []
    }

    /// Lends every run of whole lines, line breaks included, the last one perhaps without; a line that is too long
    /// is given as an empty run with its number counted. Returns the file's digest and sizes.
    ///
    /// Throws `.notFound` when the file is gone, `.recordMalformed` when a compressed one is damaged.
    func lines(_ body: (_ bytes: [UInt8], _ tooLong: Bool) async throws -> Void) async throws -> Facts {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw TallyError(
                .notFound,
                during: "retail.silver",
                "a bronze file of the manifest is not in its place (errno \(errno))",
                remedy: "Bring it back, or mark its line in meta.bronze_files as removed."
            )
        }
        defer { close(descriptor) }
        var facts = Facts()
        var digest = SHA256()
        var cutter = LineCutter()
        let unpacker = try BronzeCompression(path: path)?.unpacker()
        while let piece = try Self.read(descriptor), !piece.isEmpty {
            try Task.checkCancellation()
            digest.update(data: piece)
            facts.bytes += piece.count
            if let unpacker {
                try await unpacker.read(piece) { try await cutter.feed($0, body) }
            } else {
                try await cutter.feed(piece, body)
            }
        }
        try unpacker?.finish()
        try await cutter.finish(body)
        facts.sha256 = Array(digest.finalize())
        return facts
    }

    private static func read(_ descriptor: Int32) throws -> [UInt8]? {
        while true {
            var count = 0
            let piece = unsafe [UInt8](unsafeUninitializedCapacity: pieceMax) { buffer, used in
                unsafe count = Glibc.read(descriptor, buffer.baseAddress, pieceMax)
                used = max(0, count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw BronzeFolder.failure(errno, "read") }
            return piece
        }
    }
}

/// Cuts a stream of bytes into runs of whole lines.
private struct LineCutter {
    private var rest: [UInt8] = []
    private var skipping = false

    mutating func feed(_ piece: [UInt8], _ body: ([UInt8], Bool) async throws -> Void) async throws {
        var piece = piece[...]
        if skipping {
            guard let end = piece.firstIndex(of: 0x0A) else { return }
            skipping = false
            piece = piece[(end + 1)...]
        }
        guard let last = piece.lastIndex(of: 0x0A) else {
            rest += piece
            if rest.count > BronzeReader.lineMax {
                rest = []
                skipping = true
                try await body([], true)
            }
            return
        }
        let whole = rest + piece[...last]
        rest = Array(piece[(last + 1)...])
        try await body(whole, false)
    }

    mutating func finish(_ body: ([UInt8], Bool) async throws -> Void) async throws {
        if !rest.isEmpty { try await body(rest, false) }
        rest = []
    }
}
