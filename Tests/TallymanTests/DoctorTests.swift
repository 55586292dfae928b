import Foundation
import TestKit
import Testing

@testable import Tallyman

/// What `tallyman doctor` must not call good.
@Suite struct DoctorTests {
    private static func finding(_ verdict: Doctor.Verdict) -> Doctor.Finding {
        Doctor.Finding(check: "a check", verdict: verdict, detail: "what it found")
    }

    @Test func onlyWithoutANoteIsAllGood() {
        #expect(Doctor.summary([Self.finding(.good)]) == "All good.")
        #expect(Doctor.summary([Self.finding(.good), Self.finding(.notice)]) == "No failure, 1 note.")
        #expect(Doctor.summary([Self.finding(.notice), Self.finding(.notice)]) == "No failure, 2 notes.")
        #expect(Doctor.summary([Self.finding(.notice), Self.finding(.bad)]) == "1 to mend.")
    }

    /// A state database of its own is looked at too, and the retail job's rights, and dbt where the schedule needs it.
    @Test func theStateDatabaseAndTheWarehouseAreLookedAt() throws {
        let postgres = try TestPostgres.shared()
        let (warehouse, state) = (try postgres.freshDatabase(), try postgres.freshDatabase())
        let folder = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh("doctor")).path
        let settings = [
            "RETAIL_DATABASE_URL": warehouse, "STATE_DATABASE_URL": state, "API_BASE_URL": "http://127.0.0.1:9",
            "BRONZE_DIR": folder, "DBT_EXECUTABLE": "/nowhere/dbt", "LOG_LEVEL": "error",
        ]
        func doctor(_ more: [String: String] = [:]) throws -> String {
            try CommandLineTests.run(["doctor"], settings.merging(more) { $1 }).output
        }
        #expect(try CommandLineTests.run(["migrate", "up"], settings).status == 0)
        let first = try doctor()
        #expect(first.contains(#/ok +state database: .* takes leases/#), "\(first)")
        #expect(first.contains(#/ok +warehouse privileges/#), "\(first)")
        #expect(first.contains("FAIL  dbt: "), "\(first)")
        #expect(try doctor(["ENABLE_SCHEDULER": "false"]).contains("note  dbt: "))

        let role = TestTag.fresh("poor").filter { $0.isLetter || $0.isNumber }.lowercased()
        try postgres.psql(warehouse, "CREATE ROLE \(role) LOGIN; GRANT USAGE ON SCHEMA silver TO \(role)")
        let poor = try doctor(["RETAIL_DATABASE_URL": warehouse.replacing("//postgres@", with: "//\(role)@")])
        #expect(poor.contains(#/FAIL +warehouse privileges: .*silver\.customers/#), "\(poor)")
        try postgres.psql(warehouse, "DROP OWNED BY \(role); DROP ROLE \(role)")

        for url in [warehouse, state] {
            let name = try postgres.psql(url, "SELECT current_database()").trimmingCharacters(in: .newlines)
            try postgres.psql(url, "ALTER DATABASE \(name) SET default_transaction_read_only = on")
        }
        let readOnly = try doctor()
        #expect(readOnly.contains(#/FAIL +state database: .*takes no writes/#), "\(readOnly)")
        #expect(readOnly.contains("FAIL  warehouse writable: the database is read only"), "\(readOnly)")
    }
}
