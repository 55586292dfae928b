import Mongo
import Testing

@Suite struct DriverCallTests {
    /// Runs `body` while a task waits for the call, and gives what that task got.
    private func awaited(_ body: (DriverCall<Int>) throws -> Void) async -> Result<Int, any Error> {
        let call = DriverCall<Int>()
        do {
            return .success(
                try await withCheckedThrowingContinuation { continuation in
                    #expect(call.begin(continuation))
                    #expect(throws: Never.self) { try body(call) }
                }
            )
        } catch {
            return .failure(error)
        }
    }

    @Test func documentsAreDeliveredAndTheResultArrives() async throws {
        var delivered = 0
        let result = await awaited { call in
            for _ in 0..<3 {
                let goesOn = try call.deliver { delivered += 1 }
                #expect(goesOn)
            }
            call.finish(.success(delivered))
        }
        #expect(try result.get() == 3)
        #expect(delivered == 3)
    }

    @Test func nothingIsDeliveredOnceTheTaskWasLetGo() async {
        var delivered = 0
        let result = await awaited { call in
            let before = try call.deliver { delivered += 1 }
            #expect(call.cancel(), "nothing is being delivered: at once")
            let after = try call.deliver { delivered += 1 }
            #expect(before && !after)
            call.finish(.success(99))
        }
        #expect(throws: CancellationError.self) { try result.get() }
        #expect(delivered == 1)
    }

    /// What the task collects is touched by the delivery, so the task must not run before that has ended.
    @Test func theTaskIsNotLetGoInTheMiddleOfADelivery() async {
        var delivered = 0
        let result = await awaited { call in
            let goesOn = try call.deliver {
                #expect(call.cancel() == false, "the delivery lets it go when it ends")
                #expect(call.cancel() == false)
                delivered += 1
            }
            let after = try call.deliver { delivered += 1 }
            #expect(!goesOn && !after)
        }
        #expect(throws: CancellationError.self) { try result.get() }
        #expect(delivered == 1)
    }

    @Test func whatADeliveryThrowsComesOutUnlessItWasCancelled() async {
        struct Refused: Error {}
        let plain = await awaited { call in
            #expect(throws: Refused.self) { try call.deliver { throw Refused() } }
            let goesOn = try call.deliver {}
            #expect(goesOn, "a refused document does not end the call by itself")
            call.finish(.failure(Refused()))
        }
        #expect(throws: Refused.self) { try plain.get() }
        let cancelled = await awaited { call in
            let goesOn = try call.deliver {
                call.cancel()
                throw Refused()
            }
            #expect(!goesOn)
        }
        #expect(throws: CancellationError.self) { try cancelled.get() }
    }

    @Test func aCallCancelledBeforeItBeganDoesNotBegin() async {
        let call = DriverCall<Int>()
        #expect(call.cancel() == false, "nobody waits yet")
        await #expect(throws: CancellationError.self) {
            try await withCheckedThrowingContinuation { continuation in
                #expect(call.begin(continuation) == false)
            }
        }
    }

    @Test func aCancellationBehindTheResultChangesNothing() async throws {
        let result = await awaited { call in
            call.finish(.success(7))
            #expect(call.cancel() == false)
            call.finish(.success(8))
        }
        #expect(try result.get() == 7)
    }
}
