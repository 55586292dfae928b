import Foundation
import Glibc
import Runtime
import StreamCompression

/// How bronze files are stored.
package enum BronzeCompression: String, Sendable, CaseIterable {
    case none, gzip, zstd

    /// What a file's name ends with.
    var ending: String {
        switch self {
        case .none: ".ndjson"
        case .gzip: ".ndjson.gz"
        case .zstd: ".ndjson.zst"
        }
    }

    /// What the name of a stored file tells; nil when it is no bronze file.
    init?(path: String) {
        guard let found = Self.allCases.first(where: { path.hasSuffix($0.ending) }) else { return nil }
        self = found
    }

    func packer() throws -> (any StreamPacker)? {
        switch self {
        case .none: nil
        case .gzip: try GzipWriter()
        case .zstd: try ZstdWriter()
        }
    }

    func unpacker() throws -> (any StreamUnpacker)? {
        switch self {
        case .none: nil
        case .gzip: try GzipReader()
        case .zstd: try ZstdReader()
        }
    }
}

/// When a file was begun, as its name and its folder tell.
struct BronzeStamp: Sendable, Equatable {
    /// `YYYY-MM-DD`, UTC.
    let day: String
    /// `yyyymmdd_hhmmss`.
    let name: String

    init(_ date: Date) {
        let text = BronzeRecords.text(date)
        day = String(text.prefix(10))
        name = day.filter { $0 != "-" } + "_" + text.dropFirst(11).prefix(8).filter { $0 != ":" }
    }

    private init(day: String, name: String) {
        self.day = day
        self.name = name
    }

    /// Of a file's name: `yyyymmdd_hhmmss`, perhaps with a number behind it, and what follows the first dot.
    init?(fileName: String) {
        let stem = String(fileName.prefix { $0 != "." })
        let digits = stem.prefix(8)
        guard stem.count >= 15, digits.allSatisfy({ ("0"..."9").contains($0) }), stem.dropFirst(8).first == "_" else {
            return nil
        }
        let parts = [digits.prefix(4), digits.dropFirst(4).prefix(2), digits.dropFirst(6)]
        self.init(day: parts.joined(separator: "-"), name: stem)
    }
}

/// `BRONZE_DIR`: `<entity>/<yyyy-mm-dd>/<yyyymmdd_hhmmss>[_n].ndjson[.gz|.zst]`.
struct BronzeFolder: Sendable {
    static let partialSuffix = ".partial"

    let root: String
    let compression: BronzeCompression

    func absolute(_ relative: String) -> String { root + "/" + relative }

    /// A place that is still free: a number goes behind a stamp that is taken.
    func path(_ entity: BronzeEntity, _ stamp: BronzeStamp) -> String {
        var number = 1
        while true {
            let name = number == 1 ? stamp.name : "\(stamp.name)_\(number)"
            let relative = "\(entity.rawValue)/\(stamp.day)/\(name)\(compression.ending)"
            let taken = [absolute(relative), absolute(relative) + Self.partialSuffix]
            if !taken.contains(where: { FileManager.default.fileExists(atPath: $0) }) { return relative }
            number += 1
        }
    }

    /// Whole files in their places, below `BRONZE_DIR`, in the order of their stamps.
    func files() throws -> [(entity: BronzeEntity, path: String, day: String)] {
        var found: [(entity: BronzeEntity, path: String, day: String)] = []
        for entity in BronzeEntity.allCases {
            for relative in try names(below: entity) where BronzeCompression(path: relative) != nil {
                guard let stamp = BronzeStamp(fileName: relative.split(separator: "/").last.map(String.init) ?? "")
                else {
                    continue
                }
                found.append((entity, "\(entity.rawValue)/\(relative)", stamp.day))
            }
        }
        return found.sorted { Self.order($0.path) < Self.order($1.path) }
    }

    /// Removes what was begun and never finished; how many.
    func removePartials() throws -> Int {
        var removed = 0
        for entity in BronzeEntity.allCases {
            for relative in try names(below: entity) where relative.hasSuffix(Self.partialSuffix) {
                if unsafe unlink(absolute("\(entity.rawValue)/\(relative)")) == 0 { removed += 1 }
            }
        }
        return removed
    }

    /// By stamp, headers of sales before their lines.
    private static func order(_ path: String) -> String {
        let name = path.split(separator: "/").last ?? ""
        return "\(name) \(path)"
    }

    /// None when there is no such folder yet; one that cannot be read is a failure, not an empty one.
    private func names(below entity: BronzeEntity) throws -> [String] {
        do {
            return try Self.names(below: absolute(entity.rawValue))
        } catch let error as CocoaError where error.code == .fileReadNoSuchFile {
            return []
        } catch {
            throw TallyError(
                .permissionDenied,
                during: "retail.bronze",
                "the folder \(entity.rawValue) below BRONZE_DIR cannot be read",
                remedy: "Let BRONZE_DIR name a folder that the daemon may read and write.",
                cause: error
            )
        }
    }

    /// Paths of all files; `subpathsOfDirectory` passes over what it cannot read.
    private static func names(below folder: String) throws -> [String] {
        var names: [String] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            var isFolder: ObjCBool = false
            let place = "\(folder)/\(name)"
            let exists = unsafe FileManager.default.fileExists(atPath: place, isDirectory: &isFolder)
            if exists, isFolder.boolValue {
                names += try Self.names(below: place).map { "\(name)/\($0)" }
            } else {
                names.append(name)
            }
        }
        return names
    }

    func makeFolder(for relative: String) throws {
        try DurableFolder.make(URL(filePath: absolute(relative)).deletingLastPathComponent().path)
    }

    /// Makes a rename durable.
    func syncFolder(of relative: String) throws {
        try DurableFolder.sync(URL(filePath: absolute(relative)).deletingLastPathComponent().path)
    }

    static func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) throws {
        var offset = 0
        while offset < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { raw in
                unsafe write(descriptor, raw.baseAddress?.advanced(by: offset), raw.count - offset)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(errno, "write") }
            offset += count
        }
    }

    static func failure(_ code: Int32, _ call: String) -> TallyError {
        switch code {
        case ENOSPC, EDQUOT, EFBIG:
            TallyError(
                .limitExceeded,
                during: "retail.bronze",
                "the disk of BRONZE_DIR is full (\(call), errno \(code))",
                remedy: "Free space or shorten BRONZE_RETENTION; the next run goes on where this one stopped."
            )
        case EACCES, EPERM, EROFS:
            TallyError(
                .permissionDenied,
                during: "retail.bronze",
                "BRONZE_DIR may not be written (\(call), errno \(code))",
                remedy: "Let BRONZE_DIR name a folder that the daemon may write."
            )
        default:
            TallyError(.unknown, during: "retail.bronze", "a bronze file failed (\(call), errno \(code))")
        }
    }
}
