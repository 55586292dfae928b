import Testing

@Suite struct ImportTests {
    let table = ImportTable.tallyman

    @Test func everyImportRunsDownward() {
        #expect(!Project.swiftFiles.isEmpty)
        for violation in table.violations(in: Project.swiftFiles) { Issue.record("\(violation)") }
    }

    @Test func everyTargetIsInTheTable() throws {
        for problem in table.unlisted(folders: try Project.folders(in: "Sources")) { Issue.record("\(problem)") }
    }

    @Test func theTableRunsDownward() {
        #expect(table.upwardRows() == [])
    }

    @Test func everyTargetIsDeclaredAndHasTests() throws {
        let package = try #require(Project.text("Package.swift"))
        for module in try Project.folders(in: "Sources") {
            #expect(package.contains("name: \"\(module)\""), "Sources/\(module) is not a target of Package.swift")
            if !module.hasPrefix("CLib") {
                #expect(Project.exists("Tests/\(module)Tests"), "Sources/\(module) has no Tests/\(module)Tests")
            }
        }
        for module in Set(Project.swiftFiles.filter { !$0.isSource }.map(\.module)) {
            #expect(package.contains("\"\(module)\""), "Tests/\(module) is not a target of Package.swift")
        }
    }

    @Test func readmeShowsTheTable() throws {
        let readme = try #require(Project.text("README.md"))
        let shown = DocumentRules.block(of: readme, between: "<!-- modules -->", and: "<!-- /modules -->")
        #expect(shown == table.diagram, "README.md must show exactly:\n\(table.diagram)")
    }

    @Test func testKitKnowsOnlyRuntime() {
        let ours = Set(table.rows.map(\.module))
        for file in Project.swiftFiles where file.module == "TestKit" {
            let found = file.imports.filter { ours.contains($0) && $0 != "Runtime" }
            #expect(found == [], "\(file.path): TestKit may import Runtime only")
        }
    }

    // Each checker must find what it is for.

    @Test(arguments: [
        ("Cron", "import Engine", "Sources/Cron/X.swift: Cron may not import Engine"),
        (
            "Postgres", "@preconcurrency import CLibMongoC",
            "Sources/Postgres/X.swift: Postgres may not import CLibMongoC"
        ),
        (
            "Engine", "package import struct ProductSync.Row",
            "Sources/Engine/X.swift: Engine may not import ProductSync"
        ),
        ("API", "import NIOCore", "Sources/API/X.swift: API may not import NIOCore"),
        ("HTTPWire", "import Foundation", "Sources/HTTPWire/X.swift: HTTPWire may not import Foundation"),
        ("HTTPServer", "import Glibc", "Sources/HTTPServer/X.swift: HTTPServer may not import Glibc"),
        ("HTTPServer", "import CLibC", "Sources/HTTPServer/X.swift: HTTPServer may not import CLibC"),
    ])
    func aForbiddenImportIsFound(module: String, line: String, problem: String) {
        let file = SwiftFile(path: "Sources/\(module)/X.swift", text: "// first\n\(line)\n")
        #expect(table.violations(in: [file]) == [problem])
    }

    @Test(arguments: [
        ("Engine", "package import Postgres"), ("Cron", "import Foundation"), ("Mongo", "private import CLibMongoC"),
        ("Cron", "// import Engine"), ("Cron", "/* a\nimport Engine\n*/"),
        ("Cron", "let a = \"\"\"\nimport Engine\n\"\"\""),
        ("HTTPServer/Transport", "import Glibc"),
    ])
    func anAllowedImportIsNot(folder: String, text: String) {
        #expect(table.violations(in: [SwiftFile(path: "Sources/\(folder)/X.swift", text: text)]) == [])
    }

    @Test func anUnlistedFolderAndAMissingOneAreFound() {
        let small = ImportTable(rows: [.init(module: "A", mayImport: []), .init(module: "B", mayImport: ["A"])])
        #expect(
            small.unlisted(folders: ["A", "C"]) == [
                "Sources/C has no row in the import table", "the import table names B, which is not in Sources",
            ]
        )
        #expect(small.upwardRows() == ["B imports A, which does not stand below it"])
    }
}
