import Runtime

extension Measure {
    /// Lets an error say which measure of which day it befell: a server's own words show neither query nor table.
    func naming<Result>(
        _ day: CalendarDay,
        during stage: StaticString,
        _ body: () async throws -> Result
    ) async throws -> Result {
        do {
            return try await body()
        } catch let error as TallyError {
            throw TallyError(
                error.kind,
                during: stage,
                "\(name) of \(day): \(error.summary)",
                remedy: error.remedy,
                detail: error.detail,
                cause: error.cause,
                retryAfter: error.retryAfter
            )
        }
    }
}
