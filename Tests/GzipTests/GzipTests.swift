import Foundation
import Gzip
import Runtime
import TestKit
import Testing

@Suite struct GzipTests {
    private static func pack(_ bytes: [UInt8], chunk: Int) throws -> [UInt8] {
        let writer = try GzipWriter()
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            out += try writer.write(Array(bytes[start..<min(bytes.count, start + chunk)]))
        }
        return try out + writer.finish()
    }

    private static func unpack(_ bytes: [UInt8], chunk: Int) async throws -> [UInt8] {
        let reader = try GzipReader()
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            try await reader.read(Array(bytes[start..<min(bytes.count, start + chunk)])) { out += $0 }
        }
        try reader.finish()
        return out
    }

    /// Property: whatever the bytes and however they are cut, what comes out is what went in.
    @Test(arguments: SeededGenerator.seeds(40))
    func roundTrip(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let count = Int.random(in: 0...300_000, using: &random)
        let alphabet = UInt8.random(in: 1...255, using: &random)
        let bytes = (0..<count).map { _ in UInt8.random(in: 0...alphabet, using: &random) }
        let packed = try Self.pack(bytes, chunk: Int.random(in: 1_000...400_000, using: &random))
        let back = try await Self.unpack(packed, chunk: Int.random(in: 500...400_000, using: &random))
        #expect(back == bytes, "\(random)")
    }

    @Test func gzipOfTheSystemReadsOurs() throws {
        let bytes = Array(String(repeating: "one line of many\n", count: 20_000).utf8)
        let file = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh() + ".gz")
        try Data(Self.pack(bytes, chunk: 70_000)).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let ended = try ChildProcess.run("gzip", ["-dc", file.path])
        #expect(ended.exit == .code(0))
        #expect(ended.output == bytes)
    }

    @Test func twoMembersAreOneStream() async throws {
        let both = try Self.pack(Array("one\n".utf8), chunk: 10) + Self.pack(Array("two\n".utf8), chunk: 10)
        #expect(try await Self.unpack(both, chunk: 7) == Array("one\ntwo\n".utf8))
    }

    @Test func damageAndATooEarlyEndAreErrors() async throws {
        let bytes = Array(String(repeating: "abcdefgh", count: 5_000).utf8)
        let packed = try Self.pack(bytes, chunk: 9_000)
        await #expect(throws: TallyError.self) { try await Self.unpack(Array(packed.dropLast(9)), chunk: 100) }
        var damaged = packed
        damaged[packed.count / 2] ^= 0x55
        await #expect(throws: TallyError.self) { try await Self.unpack(damaged, chunk: 100) }
        await #expect(throws: TallyError.self) { try await Self.unpack(Array("plain".utf8), chunk: 100) }
    }
}
