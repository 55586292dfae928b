import Mongo
import Postgres
import ProductSync
import Runtime

/// Looks at what a product sync needs: both connections, the cart's table, our rights in it.
struct ProductSyncDoctor: Sendable {
    let settings: ProductSyncFeature
    let mongo: MongoPool
    let cart: PGPool

    func examine() async -> [Doctor.Finding] {
        var findings = await sourceFindings()
        let connection = await Doctor.checked("cart connection") { try await self.cartConnection() }
        findings += connection
        guard !connection.contains(where: { $0.verdict == .bad }) else { return findings }
        findings += await Doctor.checked("cart table") { try await self.cartTable() }
        findings += await Doctor.checked("cart privileges") { try await self.privileges() }
        return findings
    }

    /// The statements that give a role what the sync needs, and no more.
    var grants: [String] {
        let table = PGIdentifier.quote(settings.sync.mapping.table)
        let qualified = settings.sync.mapping.schema.map { "\(PGIdentifier.quote($0)).\(table)" } ?? table
        let delete = settings.sync.orphanPolicy == .delete ? ", DELETE" : ""
        return [
            "GRANT CONNECT, CREATE, TEMPORARY ON DATABASE <database> TO <role>;",
            "GRANT SELECT, INSERT, UPDATE\(delete) ON TABLE \(qualified) TO <role>;",
        ]
    }

    private func sourceFindings() async -> [Doctor.Finding] {
        await Doctor.checked("source") {
            let collection = settings.sync.mapping.collection
            try await mongo.ping(timeout: .seconds(5))
            let count = try await mongo.withSession {
                try await $0.count(collection, filter: BSONBuilder().finish())
            }
            let label = settings.mongo.label
            var findings = [
                Doctor.Finding(
                    check: "source",
                    verdict: .good,
                    detail: "\(label) answers; \(collection) has \(count) documents"
                )
            ]
            if count == 0 {
                findings.append(
                    Doctor.Finding(
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

    private func cartConnection() async throws -> [Doctor.Finding] {
        try await cart.withConnection { connection in
            let row = try await connection.query(
                """
                SELECT current_setting('server_version'), pg_backend_pid(), current_user::text,
                       current_setting('default_transaction_read_only') = 'on' OR pg_is_in_recovery()
                """
            )
            guard let first = row.rows.first else {
                throw TallyError(.targetUnreachable, during: "doctor.cart", "the cart's database gave no answer")
            }
            let label = settings.cart.databaseLabel
            let version = try first[0].string()
            var findings = [
                Doctor.Finding(
                    check: "cart connection",
                    verdict: .good,
                    detail: "\(label) answers: PostgreSQL \(version)"
                )
            ]
            // A transaction pooler invents the process id it tells its client.
            if try first[1].int() != Int(connection.backendPID) {
                findings.append(
                    Doctor.Finding(
                        check: "pooler",
                        verdict: .bad,
                        detail: "the connection goes through a transaction pooler",
                        remedy: "Session locks do not pass one: let CART_DB_URL name the server itself."
                    )
                )
            }
            if try first[3].bool() {
                findings.append(
                    Doctor.Finding(
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

    private func cartTable() async throws -> [Doctor.Finding] {
        let mapping = settings.sync.mapping
        _ = try await ProductSyncJob.plan(settings.sync, cart: cart)
        return [
            Doctor.Finding(
                check: "cart table",
                verdict: .good,
                detail: "\"\(mapping.table)\" has the key and the \(mapping.columns.count) columns of the mapping"
            )
        ]
    }

    private func privileges() async throws -> [Doctor.Finding] {
        let sync = settings.sync
        let table = PGIdentifier.quote(sync.mapping.table)
        let qualified = sync.mapping.schema.map { "\(PGIdentifier.quote($0)).\(table)" } ?? table
        var wanted = ["SELECT", "INSERT", "UPDATE"]
        if sync.orphanPolicy == .delete { wanted.append("DELETE") }
        return try await cart.withConnection { connection in
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
                Doctor.Finding(
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
                    Doctor.Finding(
                        check: "schema etl",
                        verdict: .bad,
                        detail: "the role may not create or use the schema etl",
                        remedy: "GRANT CREATE ON DATABASE, or let an administrator run `tallyman migrate up`."
                    )
                )
            }
            if try own.rows.first?[1].bool() != true {
                findings.append(
                    Doctor.Finding(
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
}
