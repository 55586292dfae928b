import Foundation

/// One line of dbt's JSON log, as far as we use it.
struct DBTLogLine: Sendable, Equatable {
    let event: String
    let level: String
    let message: String
    let node: String?
    let status: String?

    private struct Shape: Decodable {
        struct Info: Decodable {
            let name: String?
            let level: String?
            let msg: String?
        }
        struct Content: Decodable {
            struct Node: Decodable {
                let node_name: String?
                let node_status: String?
            }
            let node_info: Node?
        }
        let info: Info
        let data: Content?
    }

    /// nil for a line that is not of that log.
    init?(_ line: String) {
        guard line.first == "{", let shape = try? JSONDecoder().decode(Shape.self, from: Data(line.utf8)) else {
            return nil
        }
        event = shape.info.name ?? ""
        level = shape.info.level ?? "info"
        message = shape.info.msg ?? ""
        node = shape.data?.node_info?.node_name
        status = shape.data?.node_info?.node_status
    }

    /// Says that a model, test or hook has ended.
    var isNodeResult: Bool {
        node != nil && ["LogModelResult", "LogTestResult", "LogSeedResult", "LogSnapshotResult"].contains(event)
    }
}

/// What became of one model or test, after `run_results.json`.
struct DBTNode: Sendable, Equatable {
    let id: String
    let status: String
    let seconds: Double
    let failures: Int
    /// The table with the rows that failed a test.
    let relation: String?

    /// `model.retail.dim_customer` → `model`.
    var kind: String { id.split(separator: ".").first.map(String.init) ?? "" }
    /// `model.retail.dim_customer` → `dim_customer`.
    var name: String {
        let parts = id.split(separator: ".")
        return parts.count > 2 ? String(parts[2]) : id
    }
    var isGood: Bool { ["success", "pass", "warn"].contains(status) }

    private struct Results: Decodable {
        struct One: Decodable {
            let unique_id: String
            let status: String
            let execution_time: Double?
            let failures: Int?
            let relation_name: String?
        }
        let results: [One]
    }

    /// Throws a `DecodingError` when the file is not dbt's.
    static func read(_ data: Data) throws -> [DBTNode] {
        try JSONDecoder().decode(Results.self, from: data).results.map { one in
            DBTNode(
                id: one.unique_id,
                status: one.status,
                seconds: one.execution_time ?? 0,
                failures: one.failures ?? 0,
                relation: one.relation_name
            )
        }
    }
}
