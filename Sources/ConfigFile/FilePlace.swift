/// A line of a settings file, for errors that send people to it.
package struct FilePlace: Sendable, Equatable, CustomStringConvertible {
    package let file: String
    /// 1 is the first.
    package let line: Int

    package init(file: String, line: Int) {
        self.file = file
        self.line = line
    }

    package var description: String { "\(file):\(line)" }
}

/// A text of a settings file and where it stands.
package struct Placed: Sendable, Equatable {
    package let text: String
    package let place: FilePlace

    package init(_ text: String, _ place: FilePlace) {
        self.text = text
        self.place = place
    }
}
