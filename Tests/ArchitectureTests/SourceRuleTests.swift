import Testing

@Suite struct SourceRuleTests {
    @Test func noFileIsLongerThanTheCeiling() {
        for problem in SourceRules.tooLong(Project.swiftFiles) { Issue.record("\(problem)") }
    }

    @Test func noLineIsWiderThanTheCeiling() {
        for problem in SourceRules.tooWide(Project.swiftFiles) { Issue.record("\(problem)") }
    }

    @Test func noBannedConstructOutsideTheList() {
        for problem in SourceRules.bannedConstructs(Project.swiftFiles) { Issue.record("\(problem)") }
    }

    @Test func noNameThatSaysNothing() throws {
        let paths = try ["Sources", "Tests", "bin"].flatMap(Project.files(in:))
        for problem in SourceRules.bannedNames(paths) { Issue.record("\(problem)") }
    }

    @Test func noTypeIsNamedLikeItsModule() {
        for problem in SourceRules.typesNamedLikeTheirModule(Project.swiftFiles) { Issue.record("\(problem)") }
    }

    // Each checker must find what it is for.

    @Test func aLongFileIsFound() {
        let full = String(repeating: "let a = 1\n", count: 500)
        #expect(SourceRules.tooLong([SwiftFile(path: "Sources/A/A.swift", text: full)]) == [])
        let over = SwiftFile(path: "Sources/A/A.swift", text: full + "let b = 1\n")
        #expect(SourceRules.tooLong([over]) == ["Sources/A/A.swift: 501 lines; 500 is the ceiling"])
    }

    @Test func aWideLineIsFound() {
        let full = String(repeating: "é", count: 120)
        let file = SwiftFile(path: "Tests/A/A.swift", text: "\(full)\n\(full)x\n")
        #expect(SourceRules.tooWide([file]) == ["Tests/A/A.swift:2: 121 columns; 120 is the ceiling"])
    }

    @Test(arguments: [
        ("let a = try! f()", "try!"), ("fatalError(\"no\")", "fatalError"), ("Task.detached { }", "Task.detached"),
        ("Task<Int, any Error>.detached { 1 }", "Task.detached"), ("Task { await f() }", "Task {"),
        ("let t = Task(priority: .high) { }", "Task {"), ("Task<Void, Never> {", "Task {"),
        ("print(\"x\")", "print"), ("let e = ProcessInfo.processInfo.environment", "environment"),
        ("let s = \"\\(try! f())\"", "try!"),
    ])
    func aBannedConstructIsFound(line: String, name: String) throws {
        let file = SwiftFile(path: "Sources/A/A.swift", text: "import A\n\(line)\n")
        let problem = try #require(SourceRules.bannedConstructs([file], exemptions: []).first)
        #expect(problem.hasPrefix("Sources/A/A.swift:2: \(name);"))
        let exemption = Exemption(path: file.path, construct: name, why: "a test of the list")
        #expect(SourceRules.bannedConstructs([file], exemptions: [exemption]) == [])
    }

    @Test(arguments: [
        "// Task { }", "let a = \"try! fatalError(\"", "extension Task {", "try f()",
        "withTaskGroup(of: Int.self) { _ in",
        "group.addTask { }", "Task.isCancelled", "writer.print(a)", "let b = #\"a \" Task { \"#",
        "/* /* try! */ Task { */",
        "func print(_ text: String) {", "let sprint = dumps(1)",
    ])
    func whatOnlyLooksLikeOneIsNot(line: String) {
        let file = SwiftFile(path: "Sources/A/A.swift", text: line)
        #expect(SourceRules.bannedConstructs([file], exemptions: []) == [])
    }

    @Test func anExemptionNobodyNeedsIsFound() {
        let exemption = Exemption(path: "Sources/A/A.swift", construct: "try!", why: "once upon a time")
        #expect(
            SourceRules.bannedConstructs([], exemptions: [exemption])
                == ["Sources/A/A.swift try!: this exemption is not needed"]
        )
    }

    @Test(arguments: [
        "Sources/A/JobManager.swift", "Sources/A/Extensions/X.swift", "Sources/A/StringUtils.swift",
        "Sources/Common/A.swift", "Sources/A/NewMerge.swift", "bin/lib/helpers.sh", "Sources/A/Date+Extensions.swift",
    ])
    func aNameThatSaysNothingIsFound(path: String) {
        #expect(SourceRules.bannedNames([path]).count == 1)
    }

    @Test(arguments: ["Sources/A/Newline.swift", "Sources/A/Threshold.swift", "Sources/A/ManagedHandle.swift"])
    func aNameThatSaysSomethingIsNot(path: String) {
        #expect(SourceRules.bannedNames([path]) == [])
    }

    @Test func aTypeNamedLikeItsModuleIsFound() {
        let file = SwiftFile(path: "Sources/Cron/A.swift", text: "package struct Cron {}\nstruct CronField {}\n")
        #expect(
            SourceRules.typesNamedLikeTheirModule([file])
                == ["Sources/Cron/A.swift:1: a type named like its module Cron"]
        )
    }
}
