import API
import Foundation
import Mongo
import Postgres
import ProductSync
import Runtime

/// Looks at everything a sync needs and says what to do about what it finds.
struct Doctor {
    enum Verdict: String, Sendable {
        case good, notice, bad

        var mark: String {
            switch self {
            case .good: "ok   "
            case .notice: "note "
            case .bad: "FAIL "
            }
        }
    }

    struct Finding: Sendable {
        let check: String
        let verdict: Verdict
        let detail: String
        var remedy: String?

        var json: JSONValue {
            [
                "check": .string(check), "ok": .bool(verdict != .bad), "verdict": .string(verdict.rawValue),
                "detail": .string(detail), "remedy": remedy.map { .string($0) } ?? .null,
            ]
        }
    }

    let graph: Graph

    func examine() async -> [Finding] {
        var findings = settingsFindings()
        findings += await sourceFindings()
        let cart = await checked("cart connection") { try await self.cartConnection() }
        findings += cart
        if !cart.contains(where: { $0.verdict == .bad }) {
            findings += await checked("cart table") { try await self.cartTable() }
            findings += await checked("cart privileges") { try await self.privileges() }
            findings += await checked("migrations") { try await self.migrations() }
        }
        return findings
    }

    /// The statements that give a role what the sync needs, and no more.
    static func grants(_ settings: Settings) -> [String] {
        let sync = settings.product.sync
        let table = PGIdentifier.quote(sync.mapping.table)
        let qualified = sync.mapping.schema.map { "\(PGIdentifier.quote($0)).\(table)" } ?? table
        let delete = sync.orphanPolicy == .delete ? ", DELETE" : ""
        return [
            "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE <database> TO <role>;",
            "GRANT SELECT, INSERT, UPDATE\(delete) ON TABLE \(qualified) TO <role>;",
        ]
    }

    private func checked(_ check: String, _ body: () async throws -> [Finding]) async -> [Finding] {
        do {
            return try await body()
        } catch {
            let ours = TallyError.wrapping(error, during: "doctor")
            return [
                Finding(
                    check: check,
                    verdict: .bad,
                    detail: "\(ours.kind.rawValue): \(ours.summary)",
                    remedy: ours.remedy
                )
            ]
        }
    }

    private func settingsFindings() -> [Finding] {
        let settings = graph.settings
        var findings = [
            Finding(check: "settings", verdict: .good, detail: "all \(SettingName.allCases.count) are usable")
        ]
        if let key = settings.access.keys.first {
            let length = key.expose { $0.utf8.count }
            if length < 32 {
                findings.append(
                    Finding(
                        check: "JWT_KEY",
                        verdict: .notice,
                        detail: "shorter than the 32 bytes RFC 7518 asks for",
                        remedy: "Use a longer one, for example from `openssl rand -base64 32`."
                    )
                )
            }
        } else {
            findings.append(
                Finding(
                    check: "JWT_KEY",
                    verdict: .notice,
                    detail: "not set: the daemon answers on loopback only",
                    remedy: "Set JWT_KEY to serve other machines."
                )
            )
        }
        return findings
    }

    private func sourceFindings() async -> [Finding] {
        await checked("source") {
            let mongo = graph.mongo
            let collection = graph.settings.product.sync.mapping.collection
            try await mongo.ping(timeout: .seconds(5))
            let count = try await mongo.withSession {
                try await $0.count(collection, filter: BSONBuilder().finish())
            }
            let label = graph.settings.product.mongo.label
            var findings = [
                Finding(
                    check: "source",
                    verdict: .good,
                    detail: "\(label) answers; \(collection) has \(count) documents"
                )
            ]
            if count == 0 {
                findings.append(
                    Finding(
                        check: "source collection",
                        verdict: .notice,
                        detail: "\(collection) is empty",
                        remedy: "An empty source never empties the cart; check the database name in the URL."
                    )
                )
            }
            return findings
        }
    }

    private func cartConnection() async throws -> [Finding] {
        try await graph.cart.withConnection { connection in
            let row = try await connection.query(
                """
                SELECT current_setting('server_version'), pg_backend_pid(), current_user::text,
                       current_setting('default_transaction_read_only') = 'on' OR pg_is_in_recovery()
                """
            )
            guard let first = row.rows.first else {
                throw TallyError(.targetUnreachable, during: "doctor.cart", "the cart's database gave no answer")
            }
            let label = graph.settings.product.cart.databaseLabel
            let version = try first[0].string()
            var findings = [
                Finding(check: "cart connection", verdict: .good, detail: "\(label) answers: PostgreSQL \(version)")
            ]
            // A transaction pooler invents the process id it tells its client.
            if try first[1].int() != Int(connection.backendPID) {
                findings.append(
                    Finding(
                        check: "pooler",
                        verdict: .bad,
                        detail: "the connection goes through a transaction pooler",
                        remedy: "Session locks do not pass one: let CART_DB_URL name the server itself."
                    )
                )
            }
            if try first[3].bool() {
                findings.append(
                    Finding(
                        check: "cart writable",
                        verdict: .bad,
                        detail: "the database is read only",
                        remedy: "Let CART_DB_URL name the primary."
                    )
                )
            }
            return findings
        }
    }

    private func cartTable() async throws -> [Finding] {
        let mapping = graph.settings.product.sync.mapping
        _ = try await ProductSyncJob.plan(graph.settings.product.sync, cart: graph.cart)
        return [
            Finding(
                check: "cart table",
                verdict: .good,
                detail: "\"\(mapping.table)\" has the key and the \(mapping.columns.count) columns of the mapping"
            )
        ]
    }

    private func privileges() async throws -> [Finding] {
        let sync = graph.settings.product.sync
        let table = PGIdentifier.quote(sync.mapping.table)
        let qualified = sync.mapping.schema.map { "\(PGIdentifier.quote($0)).\(table)" } ?? table
        var wanted = ["SELECT", "INSERT", "UPDATE"]
        if sync.orphanPolicy == .delete { wanted.append("DELETE") }
        return try await graph.cart.withConnection { connection in
            var lacking: [String] = []
            for privilege in wanted {
                let row = try await connection.query(
                    "SELECT has_table_privilege($1::text, $2::text)",
                    [.text(qualified), .text(privilege)]
                )
                if try row.rows.first?[0].bool() != true { lacking.append(privilege) }
            }
            let own = try await connection.query(
                """
                SELECT CASE WHEN to_regnamespace('etl') IS NULL
                            THEN has_database_privilege(current_database(), 'CREATE')
                            ELSE has_schema_privilege('etl', 'USAGE') END,
                       has_database_privilege(current_database(), 'TEMPORARY')
                """
            )
            var findings = [
                Finding(
                    check: "cart privileges",
                    verdict: lacking.isEmpty ? .good : .bad,
                    detail: lacking.isEmpty
                        ? "\(wanted.joined(separator: ", ")) on \(qualified)"
                        : "the role lacks \(lacking.joined(separator: ", ")) on \(qualified)",
                    remedy: lacking.isEmpty ? nil : "Run the GRANTs below as the table's owner."
                )
            ]
            if try own.rows.first?[0].bool() != true {
                findings.append(
                    Finding(
                        check: "schema etl",
                        verdict: .bad,
                        detail: "the role may not create or use the schema etl",
                        remedy: "GRANT CREATE ON DATABASE, or let an administrator run `tallyman migrate up`."
                    )
                )
            }
            if try own.rows.first?[1].bool() != true {
                findings.append(
                    Finding(
                        check: "temporary tables",
                        verdict: .bad,
                        detail: "the role may not create temporary tables",
                        remedy: "GRANT TEMPORARY ON DATABASE."
                    )
                )
            }
            return findings
        }
    }

    private func migrations() async throws -> [Finding] {
        try await graph.migrations.status().map { database in
            let missing = database.migrations.filter { !$0.isApplied }.count
            return Finding(
                check: "migrations",
                verdict: missing == 0 ? .good : .bad,
                detail: "\(database.database): \(missing == 0 ? "all applied" : "\(missing) are not applied")",
                remedy: missing == 0 ? nil : "Run `tallyman migrate up`."
            )
        }
    }
}
