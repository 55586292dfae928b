import Foundation
import Runtime
import StreamCompression
import TestKit
import Testing

@Suite struct StreamCompressionTests {
    /// A format, and the system's own tool for it.
    enum Format: String, CaseIterable, Sendable {
        case gzip, zstd

        func packer() throws -> any StreamPacker {
            switch self {
            case .gzip: try GzipWriter()
            case .zstd: try ZstdWriter()
            }
        }

        func unpacker() throws -> any StreamUnpacker {
            switch self {
            case .gzip: try GzipReader()
            case .zstd: try ZstdReader()
            }
        }
    }

    private static func pack(_ format: Format, _ bytes: [UInt8], chunk: Int) throws -> [UInt8] {
        let writer = try format.packer()
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            out += try writer.write(Array(bytes[start..<min(bytes.count, start + chunk)]))
        }
        return try out + writer.finish()
    }

    private static func unpack(_ format: Format, _ bytes: [UInt8], chunk: Int) async throws -> [UInt8] {
        let reader = try format.unpacker()
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            try await reader.read(Array(bytes[start..<min(bytes.count, start + chunk)])) { piece in
                #expect(piece.count <= 1 << 18, "a small input cannot fill the memory")
                out += piece
            }
        }
        try reader.finish()
        return out
    }

    /// Property: whatever the bytes and however they are cut, what comes out is what went in.
    @Test(arguments: Format.allCases, SeededGenerator.seeds(40))
    func roundTrip(format: Format, seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let count = Int.random(in: 0...300_000, using: &random)
        let alphabet = UInt8.random(in: 1...255, using: &random)
        let bytes = (0..<count).map { _ in UInt8.random(in: 0...alphabet, using: &random) }
        let packed = try Self.pack(format, bytes, chunk: Int.random(in: 1_000...400_000, using: &random))
        let back = try await Self.unpack(format, packed, chunk: Int.random(in: 500...400_000, using: &random))
        #expect(back == bytes, "\(random)")
    }

    /// Pieces that are full exactly when a member ends, and members behind them.
    @Test(arguments: Format.allCases, [1 << 18, 1 << 19, (1 << 18) - 1, (1 << 18) + 1])
    func fullPiecesAtTheEndOfAMember(format: Format, count: Int) async throws {
        let bytes = [UInt8](repeating: 7, count: count)
        let packed = try Self.pack(format, bytes, chunk: 100_000)
        #expect(try await Self.unpack(format, packed + packed, chunk: packed.count) == bytes + bytes)
    }

    @Test(arguments: Format.allCases)
    func theToolOfTheSystemReadsOurs(format: Format) throws {
        let bytes = Array(String(repeating: "one line of many\n", count: 20_000).utf8)
        let ending = format == .gzip ? ".gz" : ".zst"
        let file = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh() + ending)
        try Data(Self.pack(format, bytes, chunk: 70_000)).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let ended = try ChildProcess.run(format.rawValue, ["-dc", file.path])
        #expect(ended.exit == .code(0))
        #expect(ended.output == bytes)
    }

    @Test(arguments: Format.allCases)
    func twoMembersAreOneStream(format: Format) async throws {
        let both =
            try Self.pack(format, Array("one\n".utf8), chunk: 10) + Self.pack(format, Array("two\n".utf8), chunk: 10)
        #expect(try await Self.unpack(format, both, chunk: 7) == Array("one\ntwo\n".utf8))
    }

    @Test(arguments: Format.allCases)
    func damageAndATooEarlyEndAreErrors(format: Format) async throws {
        var random = SeededGenerator(seed: 3)
        let bytes = (0..<40_000).map { _ in UInt8.random(in: 0...15, using: &random) }
        let packed = try Self.pack(format, bytes, chunk: 9_000)
        await #expect(throws: TallyError.self) { try await Self.unpack(format, Array(packed.dropLast(9)), chunk: 100) }
        var damaged = packed
        damaged[packed.count / 2] ^= 0x55
        await #expect(throws: TallyError.self) { try await Self.unpack(format, damaged, chunk: 100) }
        await #expect(throws: TallyError.self) { try await Self.unpack(format, Array("plain".utf8), chunk: 100) }
    }
}
