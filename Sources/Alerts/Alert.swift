package import Engine
package import Foundation

/// Something people are told about a job without having asked.
package struct Alert: Sendable, Equatable {
    /// What about a job changed; each has a state of its own, so that a failing job with drift says both, once each.
    package enum Subject: String, Sendable, CaseIterable {
        case run
        case deadLetters = "dead-letters"
        case drift
        /// One run's figures, for jobs that report every run.
        case report
        case digest
    }

    package enum Severity: String, Sendable {
        case problem
        case recovery
        case information
    }

    /// The same for every attempt to deliver it, so that receivers can drop repeats.
    package let id: UUID
    package let job: JobName
    package let subject: Subject
    package let severity: Severity
    /// One line. Names jobs, kinds and counts; never the value of a row.
    package let title: String
    /// More lines, the remedy among them.
    package let lines: [String]
    package let runID: RunID?
    package let at: Date

    package init(
        id: UUID = UUID(),
        job: JobName,
        subject: Subject,
        severity: Severity,
        title: String,
        lines: [String] = [],
        runID: RunID? = nil,
        at: Date = Date()
    ) {
        self.id = id
        self.job = job
        self.subject = subject
        self.severity = severity
        self.title = title
        self.lines = lines
        self.runID = runID
        self.at = at
    }
}

/// Where alerts go. Throws what kept it from being delivered; a `.serverBusy` may say when to try again.
package protocol AlertSink: Sendable {
    /// The value of the metric's label.
    var name: String { get }
    func deliver(_ alert: Alert) async throws
}
