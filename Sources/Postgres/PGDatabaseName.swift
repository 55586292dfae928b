import CLibPQ

/// Which database a connection string names, as libpq itself reads it: from the path, the query or both.
///
/// What stands in the environment of the process (`PGHOST`) is not looked at. Two strings name the same database when
/// host, address, port and name agree, whoever logs in.
/// [Connection strings](https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING)
package struct PGDatabaseName: Hashable, Sendable {
    let host: String
    let address: String
    let port: String
    let database: String

    /// nil for a string that libpq does not understand. Its complaint is not handed on: it may quote a password.
    package init?(_ url: String) {
        var complaint: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(url, &complaint) else {
            PQfreemem(complaint)
            return nil
        }
        defer { PQconninfoFree(options) }
        var values: [String: String] = [:]
        var at = options
        while let keyword = at.pointee.keyword {
            if let value = at.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            at += 1
        }
        host = values["host"] ?? ""
        address = values["hostaddr"] ?? ""
        port = values["port"] ?? ""
        database = values["dbname"] ?? ""
    }

    /// Host, port and database, for people.
    package var label: String {
        let shown = host.isEmpty ? address : host
        let isAddress6 = shown.contains(":") && !shown.hasPrefix("/")
        return (isAddress6 ? "[\(shown)]" : shown) + (port.isEmpty ? "" : ":\(port)")
            + (database.isEmpty ? "" : "/\(database)")
    }
}
