import Cron
import Testing

@Suite struct CronWordsTests {
    @Test(arguments: [
        ("0 4 L * 1-5", "at 04:00 on the last day of the month or from Monday to Friday"),
        ("*/5 * 1-31 * 1", "every 5 minutes"),
        ("5 */6 */10 * *", "at minute 5 of every 6th hour from 00 on days 1, 11, 21 and 31 of the month"),
        ("0 0 * * 1,5L,MON#2", "at 00:00 on Monday, the last Friday of the month and the 2nd Monday of the month"),
        ("1-59/2 * * * *", "at minutes 1 to 59 in steps of 2 of every hour"),
    ])
    func saysIt(expression: String, words: String) throws {
        #expect(try CronExpression(expression).words == words, "\(expression)")
    }
}
