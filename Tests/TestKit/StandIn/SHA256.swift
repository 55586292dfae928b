/// SHA-256, HMAC and PBKDF2 for the stand-in's SCRAM. For tests only: not hardened, and not the product's.
enum SHA256 {
    static func hash(_ message: [UInt8]) -> [UInt8] {
        var state = initial
        var padded = message + [0x80]
        padded += [UInt8](repeating: 0, count: (120 - padded.count % 64) % 64)
        let bits = UInt64(message.count) * 8
        padded += (0..<8).map { UInt8(truncatingIfNeeded: bits >> UInt64(56 - 8 * $0)) }
        padded.withUnsafeBufferPointer { padded in
            var schedule = [UInt32](repeating: 0, count: 64)
            for block in stride(from: 0, to: padded.count, by: 64) {
                schedule.withUnsafeMutableBufferPointer { compress(&state, padded, block, $0) }
            }
        }
        return state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(24 - 8 * $0)) } }
    }

    static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        let short = key.count > 64 ? hash(key) : key
        let block = short + [UInt8](repeating: 0, count: 64 - short.count)
        return hash(block.map { $0 ^ 0x5C } + hash(block.map { $0 ^ 0x36 } + message))
    }

    /// PBKDF2 with one block of output (RFC 8018), which is `Hi` of RFC 5802.
    static func stretch(_ password: [UInt8], salt: [UInt8], iterations: Int) -> [UInt8] {
        var last = authenticate(salt + [0, 0, 0, 1], key: password)
        var result = last
        for _ in 1..<iterations {
            last = authenticate(last, key: password)
            for index in result.indices { result[index] ^= last[index] }
        }
        return result
    }

    private static func compress(
        _ state: inout [UInt32],
        _ bytes: UnsafeBufferPointer<UInt8>,
        _ block: Int,
        _ schedule: UnsafeMutableBufferPointer<UInt32>
    ) {
        for index in 0..<16 {
            let place = block + 4 * index
            let high = UInt32(bytes[place]) << 24 | UInt32(bytes[place + 1]) << 16
            schedule[index] = high | UInt32(bytes[place + 2]) << 8 | UInt32(bytes[place + 3])
        }
        for index in 16..<64 {
            let early = schedule[index - 15]
            let late = schedule[index - 2]
            let first = turn(early, 7) ^ turn(early, 18) ^ (early >> 3)
            let second = turn(late, 17) ^ turn(late, 19) ^ (late >> 10)
            schedule[index] = schedule[index - 16] &+ first &+ schedule[index - 7] &+ second
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for index in 0..<64 {
            let choice = (e & f) ^ (~e & g)
            let sigma = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)
            let first = h &+ sigma &+ choice &+ constants[index] &+ schedule[index]
            let majority = (a & b) ^ (a & c) ^ (b & c)
            let second = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) &+ majority
            (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
        }
        for (index, word) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= word }
    }

    @inline(__always)
    private static func turn(_ word: UInt32, _ by: UInt32) -> UInt32 { word >> by | word << (32 - by) }

    private static let primes: [UInt64] = {
        var found: [UInt64] = []
        var candidate: UInt64 = 2
        while found.count < 64 {
            if !found.contains(where: { candidate % $0 == 0 }) { found.append(candidate) }
            candidate += 1
        }
        return found
    }()

    /// The first 32 bits of the fractions of the roots of the first primes (FIPS 180-4, 4.2.2 and 5.3.3).
    private static let constants: [UInt32] = primes.map { prime in
        root(UInt128(prime) << 96) { $0 * $0 * $0 }
    }
    private static let initial: [UInt32] = primes.prefix(8).map { prime in
        root(UInt128(prime) << 64) { $0 * $0 }
    }

    /// The largest number whose power does not exceed `value`, cut to 32 bits.
    private static func root(_ value: UInt128, _ power: (UInt128) -> UInt128) -> UInt32 {
        var low: UInt128 = 0
        var high: UInt128 = 1 << 40
        while low + 1 < high {
            let middle = (low + high) / 2
            if power(middle) <= value { low = middle } else { high = middle }
        }
        return UInt32(truncatingIfNeeded: low)
    }
}
