/// Products as Mongoose writes them for the shop, as raw BSON; every value follows from the number.
package enum ShopDocuments {
    /// An ObjectId that rises with the number: a time, then the number.
    package static func id(_ number: Int) -> [UInt8] {
        [0x65, 0xA0, 0, 0] + withUnsafeBytes(of: UInt64(number * 17 + 3).bigEndian) { Array($0) }
    }

    package static func hex(_ number: Int) -> String {
        id(number).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// A product of about `size` bytes (at least 330), filled up in its description.
    package static func product(_ number: Int, revision: Int = 0, size: Int = 520) -> [UInt8] {
        var writer = BSONWriter()
        writer.append("_id", objectID: id(number))
        writer.append("title", string: revision == 0 ? "Product \(number)" : "Product \(number) rev \(revision)")
        writer.append("price", double: Double(number % 500) + Double(revision) + 0.99)
        writer.append("image", string: "https://cdn.example/products/\(number).jpg")
        writer.append("sellerId", objectID: id(900_000_000 + number % 97))
        writer.append("category", string: "category-\(number % 31)")
        writer.append("quantity", int32: Int32(number % 90))
        writer.append("tags", strings: ["new", "tag-\(number % 13)"])
        writer.append("createdAt", date: 1_700_000_000_000 + Int64(number))
        writer.append("updatedAt", date: 1_700_000_000_000 + Int64(number) + Int64(revision))
        writer.append("__v", int32: Int32(revision))
        let rest = max(0, size - writer.bytes.count - 1 - 18)
        writer.append("description", string: String(repeating: "lorem ipsum ", count: rest / 12 + 1).prefix(rest))
        return writer.finish()
    }
}

extension BSONWriter {
    fileprivate mutating func append(_ name: String, string value: Substring) { append(name, string: String(value)) }
}

extension MongoStandIn {
    /// Adds products of these numbers to `products`.
    package func loadProducts(_ numbers: Range<Int>, size: Int = 520) throws {
        try load("products", numbers.lazy.map { ShopDocuments.product($0, size: size) })
    }
}
