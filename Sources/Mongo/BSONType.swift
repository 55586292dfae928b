/// The type byte of a BSON element (bsonspec.org, version 1.1).
package enum BSONType: UInt8, Sendable, Hashable, CaseIterable {
    case double = 1
    case string = 2
    case document = 3
    case array = 4
    case binary = 5
    case undefined = 6
    case objectID = 7
    case bool = 8
    case date = 9
    case null = 10
    case regex = 11
    case dbPointer = 12
    case code = 13
    case symbol = 14
    case codeWithScope = 15
    case int32 = 16
    case timestamp = 17
    case int64 = 18
    case decimal128 = 19
    case maxKey = 127
    case minKey = 255
}

/// Where one element's name and value lie in the bytes of its document.
///
/// The value of a string includes its length prefix and final NUL; that of a document or array is the whole inner
/// document; that of a binary starts with its length and subtype. `BSONWalk` has checked all of them.
package struct BSONElement: Sendable, Equatable {
    package let type: BSONType
    /// Without the NUL behind it; not checked to be UTF-8.
    package let name: Range<Int>
    package let value: Range<Int>

    package init(type: BSONType, name: Range<Int>, value: Range<Int>) {
        self.type = type
        self.name = name
        self.value = value
    }
}
