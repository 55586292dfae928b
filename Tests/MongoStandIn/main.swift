import Foundation
import TestKit

/// The MongoDB stand-in as a program, for benchmarks and drivers that are not ours:
///
///     mongo-stand-in --port 29217 --products 1000000 [--size 520] [--replica-set NAME] [--user U --password P]
///
/// Prints one line when it serves; ends with its standard input or SIGTERM.
func argument(_ name: String) -> String? {
    guard let index = CommandLine.arguments.firstIndex(of: name) else { return nil }
    let next = CommandLine.arguments.index(after: index)
    return next < CommandLine.arguments.endIndex ? CommandLine.arguments[next] : nil
}

let server = try MongoStandIn(
    port: argument("--port").flatMap { Int($0) } ?? 0,
    replicaSet: argument("--replica-set")
)
if let user = argument("--user") { server.requireLogin(user: user, password: argument("--password") ?? "") }
let count = argument("--products").flatMap { Int($0) } ?? 0
try server.loadProducts(0..<count, size: argument("--size").flatMap { Int($0) } ?? 520)
FileHandle.standardOutput.write(Data("serving \(server.count("products")) products at \(server.url)\n".utf8))
while let line = readLine() {
    // `revise FROM TO REVISION` and `remove FROM TO`, so that a bench can make products stale or orphaned.
    let words = line.split(separator: " ").map(String.init)
    guard words.count >= 3, let from = Int(words[1]), let to = Int(words[2]), from <= to else { continue }
    switch words[0] {
    case "revise":
        let step = words.count > 4 ? Int(words[4]) ?? 1 : 1
        for number in stride(from: from, to: to, by: step) {
            let revision = words.count > 3 ? Int(words[3]) ?? 1 : 1
            try server.replace(ShopDocuments.product(number, revision: revision), in: "products")
        }
    case "add": try server.loadProducts(from..<to)
    default: continue
    }
    FileHandle.standardOutput.write(Data("done \(words[0])\n".utf8))
}
server.stop()
