import Runtime
import Testing

@Suite struct BoundedChannelTests {
    @Test func everythingSentArrivesInOrder() async throws {
        let channel = BoundedChannel<Int>(capacity: 3)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 0..<1_000 { try await channel.send(number) }
                channel.finish()
            }
            var received: [Int] = []
            while let number = try await channel.receive() { received.append(number) }
            #expect(received == Array(0..<1_000))
            try await group.waitForAll()
        }
    }

    @Test func aFullChannelTakesNoMore() {
        let channel = BoundedChannel<Int>(capacity: 2)
        #expect(channel.offer(1))
        #expect(channel.offer(2))
        #expect(!channel.offer(3))
        #expect(channel.takeNow() == 1)
        #expect(channel.offer(3))
    }

    @Test func cancellationWakesAReceiver() async {
        let channel = BoundedChannel<Int>(capacity: 1)
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                do { return try await channel.receive() != nil } catch { return error is CancellationError }
            }
            group.cancelAll()
            #expect(await group.next() == true)
        }
    }

    @Test func aFailureReachesTheReceiver() async {
        let channel = BoundedChannel<Int>(capacity: 1)
        channel.finish(throwing: TallyError(.unknown, during: "test", "over"))
        await #expect(throws: TallyError.self) { try await channel.receive() }
    }

    @Test func aSecretIsNeverPrinted() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), String(describing: [secret]), dumped] {
            #expect(!text.contains("hunter2"))
        }
        #expect(secret.expose { $0 } == "hunter2")
    }

    @Test func deadlinesCancelWhatRunsOn() async {
        let error = await #expect(throws: TallyError.self) {
            try await withDeadline(.milliseconds(5), during: "test") { try await Task.sleep(for: .seconds(60)) }
        }
        #expect(error?.kind == .deadlineExceeded)
    }

    @Test(arguments: 0..<40)
    func backoffStaysWithinItsBounds(attempt: Int) {
        let backoff = Backoff(base: .milliseconds(100), ceiling: .seconds(5), attemptsMax: 30)
        var random = SystemRandomNumberGenerator()
        let delay = backoff.delay(attempt: attempt, using: &random)
        #expect((delay == nil) == (attempt >= 30))
        if let delay { #expect(delay >= .zero && delay <= .seconds(5)) }
    }
}
