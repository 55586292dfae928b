import CLibPQ
package import Foundation
import Runtime

/// What a statement gave: rows in binary, the command tag and the number of rows it names.
package struct PGResult: Sendable {
    package struct Column: Sendable, Equatable {
        package let name: String
        package let oid: UInt32
    }

    package let rows: [PGRow]
    package let commandTag: String
    package let affectedRows: Int
    package let columns: [Column]
}

extension PGResult {
    init(reading result: OpaquePointer) {
        let columns = Self.columns(of: result)
        rows = (0..<PQntuples(result)).map { PGRow(reading: result, row: $0, columns: columns) }
        commandTag = String(cString: PQcmdStatus(result))
        affectedRows = Int(String(cString: PQcmdTuples(result))) ?? 0
        self.columns = columns
    }

    static func columns(of result: OpaquePointer) -> [Column] {
        (0..<PQnfields(result)).map { Column(name: String(cString: PQfname(result, $0)), oid: PQftype(result, $0)) }
    }
}

extension PGRow {
    init(reading result: OpaquePointer, row: Int32, columns: [PGResult.Column]) {
        cells = columns.indices.map { index in
            let column = Int32(index)
            guard PQgetisnull(result, row, column) == 0, let value = PQgetvalue(result, row, column) else {
                return PGCell(bytes: nil, column: columns[index])
            }
            let raw = UnsafeRawBufferPointer(start: value, count: Int(PQgetlength(result, row, column)))
            return PGCell(bytes: Array(raw), column: columns[index])
        }
        self.columns = columns
    }

    /// What the values take on the wire.
    var byteCount: Int { cells.reduce(0) { $0 + ($1.bytes?.count ?? 0) } }
}

package struct PGRow: Sendable {
    let cells: [PGCell]
    let columns: [PGResult.Column]

    package subscript(index: Int) -> PGCell { cells[index] }

    /// The named column's cell; a name that is not there gives a NULL cell of that name.
    package subscript(name: String) -> PGCell {
        guard let index = columns.firstIndex(where: { $0.name == name }) else {
            return PGCell(bytes: nil, column: .init(name: name, oid: 0))
        }
        return cells[index]
    }
}

/// One value of a result; each reading throws `.schemaMismatch` when the column is of another type or NULL.
package struct PGCell: Sendable {
    package let bytes: [UInt8]?
    let column: PGResult.Column

    package var isNull: Bool { bytes == nil }

    package func string() throws -> String {
        let value = try content(25, 1043, 19, 1042, 18, 114, 3802, 705, 2205)
        return String(decoding: column.oid == 3802 ? value.dropFirst() : value[...], as: UTF8.self)
    }
    package func json() throws -> String { try string() }
    package func int64() throws -> Int64 {
        let value = try content(20, 21, 23, 26)
        var number: Int64 = value[0] & 0x80 == 0 || column.oid == 26 ? 0 : -1
        for byte in value { number = number << 8 | Int64(byte) }
        return number
    }
    package func int() throws -> Int { Int(try int64()) }
    package func bool() throws -> Bool { try content(16) != [0] }
    package func double() throws -> Double {
        let value = try content(701, 700)
        var bits: UInt64 = 0
        for byte in value { bits = bits << 8 | UInt64(byte) }
        return value.count == 4 ? Double(Float(bitPattern: UInt32(bits))) : Double(bitPattern: bits)
    }
    package func uuid() throws -> UUID {
        let value = try content(2950)
        return value.withUnsafeBytes { UUID(uuid: $0.loadUnaligned(as: uuid_t.self)) }
    }
    package func date() throws -> Date {
        let value = try content(1184, 1114)
        var micros: Int64 = 0
        for byte in value { micros = micros << 8 | Int64(byte) }
        guard micros != .max, micros != .min else {
            throw TallyError(
                .schemaMismatch,
                during: "postgres.read",
                "column \"\(column.name)\" holds an infinite time, which is no instant",
                remedy: "Set it to an instant, or to NULL."
            )
        }
        return Date(timeIntervalSince1970: Double(micros) / 1_000_000 + 946_684_800)
    }

    private func content(_ oids: UInt32...) throws -> [UInt8] {
        guard let bytes, oids.contains(column.oid) else {
            throw TallyError(
                .schemaMismatch,
                during: "postgres.read",
                "column \"\(column.name)\" \(bytes == nil ? "is NULL" : "has type \(column.oid)"), not what is expected"
            )
        }
        return bytes
    }
}
