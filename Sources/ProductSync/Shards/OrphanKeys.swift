/// Keys of orphans as bytes that a shard leaves for the end of its run: each its length, big-endian, and its bytes.
package enum OrphanKeys {
    package static func pack(_ keys: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        for key in keys {
            bytes.appendBigEndian(Int32(key.count))
            bytes += key
        }
        return bytes
    }

    /// What is cut off at the end is left out.
    package static func unpack(_ bytes: [UInt8]) -> [[UInt8]] {
        var keys: [[UInt8]] = []
        var at = 0
        while at + 4 <= bytes.count {
            let count = Int(bytes.span.bigEndianInt32(at: at))
            at += 4
            guard count >= 0, at + count <= bytes.count else { break }
            keys.append(Array(bytes[at..<(at + count)]))
            at += count
        }
        return keys
    }
}
