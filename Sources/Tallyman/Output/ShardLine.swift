import Runtime

/// A shard as one line of text.
enum ShardLine {
    static func text(_ shard: JSONValue) -> String {
        let progress = shard["progress"]
        let counts = shard["counts"]
        var parts = [
            "shard \(shard["shard"]?.int ?? -1)", shard["state"]?.string ?? "?",
            "attempts \(shard["attempts"]?.int ?? 0)",
            "read \(counts?["totalProductsInSource"]?.int ?? progress?["read"]?.int ?? 0)",
            "written \(counts?["syncedProducts"]?.int ?? progress?["written"]?.int ?? 0)",
        ]
        if let letters = shard["deadLetters"]?.int, letters > 0 { parts.append("dead letters \(letters)") }
        return parts.joined(separator: "  ")
    }
}
