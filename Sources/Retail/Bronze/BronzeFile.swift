import Crypto
import Foundation
import Glibc
import Runtime
import StreamCompression

/// What a whole file is, as its line in the manifest tells.
struct BronzeFileFacts: Sendable, Equatable {
    let entity: BronzeEntity
    /// Below `BRONZE_DIR`.
    let path: String
    let day: String
    let records: Int
    let bytes: Int
    let sha256: [UInt8]
    let firstID: String?
    let lastID: String?
}

/// A file being written beside its place: `finish` makes it durable and moves it there, whole.
///
/// Not to be used from two tasks. One that is never finished is removed when it is dropped.
final class BronzeFile {
    private let entity: BronzeEntity
    private let folder: BronzeFolder
    private let relative: String
    private let day: String
    private var descriptor: Int32
    private let packer: (any StreamPacker)?
    private var digest = SHA256()
    private var pending: [UInt8] = []
    private(set) var records = 0
    private(set) var bytes = 0
    private var firstID: String?
    private var lastID: String?

    private var partial: String { folder.absolute(relative) + BronzeFolder.partialSuffix }

    /// Throws `.limitExceeded` when the disk is full, `.permissionDenied` when the folder may not be written.
    init(_ entity: BronzeEntity, in folder: BronzeFolder, stamp: BronzeStamp) throws {
        self.entity = entity
        self.folder = folder
        day = stamp.day
        relative = folder.path(entity, stamp)
        packer = try folder.compression.packer()
        descriptor = -1
        try folder.makeFolder(for: relative)
        descriptor = unsafe open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw BronzeFolder.failure(errno, "open") }
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        unsafe unlink(partial)
    }

    func append(_ line: [UInt8], id: String?) throws {
        pending += line
        records += 1
        if firstID == nil { firstID = id }
        if let id { lastID = id }
        if pending.count >= 1 << 18 { try flush() }
    }

    private func flush() throws {
        let out = try packer?.write(pending) ?? pending
        pending.removeAll(keepingCapacity: true)
        try write(out)
    }

    private func write(_ out: [UInt8]) throws {
        digest.update(data: out)
        bytes += out.count
        try BronzeFolder.writeAll(descriptor, out)
    }

    /// Flushes, makes file and folder durable, moves the file into its place.
    func finish(_ beforeRename: () async throws -> Void) async throws -> BronzeFileFacts {
        try flush()
        if let packer { try write(try packer.finish()) }
        guard fsync(descriptor) == 0 else { throw BronzeFolder.failure(errno, "fsync") }
        try await beforeRename()
        guard unsafe rename(partial, folder.absolute(relative)) == 0 else {
            throw BronzeFolder.failure(errno, "rename")
        }
        close(descriptor)
        descriptor = -1
        try folder.syncFolder(of: relative)
        return BronzeFileFacts(
            entity: entity,
            path: relative,
            day: day,
            records: records,
            bytes: bytes,
            sha256: Array(digest.finalize()),
            firstID: firstID,
            lastID: lastID
        )
    }
}
