import Mongo

/// Documents of the shape Mongoose writes for the shop; every value follows from the number.
enum ProductDocuments {
    static func id(_ number: Int) -> [UInt8] {
        [0x65, 0xA0, 0, 0, 0, 0, 0, 0] + withUnsafeBytes(of: UInt32(number * 17 + 3).bigEndian) { Array($0) }
    }

    static func product(_ number: Int, title: String? = nil, price: Double? = nil) -> BSONDocument {
        var document = BSONBuilder()
        document.append("_id", objectID: id(number))
        document.append("title", string: title ?? "Product \(number) – naïve ☕")
        document.append("price", double: price ?? Double(number % 500) + 0.99)
        document.append("image", string: "https://cdn.example/p/\(number).jpg")
        document.append("sellerId", objectID: id(1_000_000 + number % 7))
        document.append("description", string: String(repeating: "lorem ", count: 20))
        if number % 5 == 0 {
            document.appendNull("quantity")
        } else if number % 5 != 1 {
            document.append("quantity", int32: Int32(number % 90))
        }
        document.append("createdAt", date: 1_700_000_000_000 + Int64(number))
        document.append("__v", int32: 0)
        return document.finish()
    }
}
