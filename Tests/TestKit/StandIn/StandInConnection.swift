import Foundation

/// One client's connection: reads messages, has them answered, writes the answers. Lives on a thread of its own.
struct StandInConnection {
    let descriptor: Int32
    let number: Int
    let server: MongoStandIn
    private let incoming = MessageBuffer()
    private let reply = MessageBuffer()
    private var login = StandInLogin()

    init(descriptor: Int32, number: Int, server: MongoStandIn) {
        self.descriptor = descriptor
        self.number = number
        self.server = server
    }

    private enum Opcode {
        static let reply: Int32 = 1
        static let query: Int32 = 2004
        static let message: Int32 = 2013
    }

    private struct Header {
        let length: Int
        let requestID: Int32
        let opcode: Int32

        init(_ bytes: UnsafeRawPointer) {
            length = Int(Int32(littleEndian: bytes.loadUnaligned(as: Int32.self)))
            requestID = Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: Int32.self))
            opcode = Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 12, as: Int32.self))
        }
    }

    private static let messageBytesMax = 64 << 20

    /// Serves until either side ends the connection.
    mutating func serve() {
        while let header = readMessage() {
            switch header.opcode {
            case Opcode.message:
                guard let (command, wantsReply) = parseMessage(header) else { return }
                beginReply(to: header, opcode: Opcode.message)
                reply.append(UInt32(0))
                reply.append(byte: 0)
                guard answer(command, wantsReply: wantsReply) else { return }
            case Opcode.query:
                guard let command = parseQuery(header) else { return }
                beginReply(to: header, opcode: Opcode.reply)
                reply.append(UInt32(8))
                reply.append(Int64(0))
                reply.append(Int32(0))
                reply.append(Int32(1))
                guard answer(command, wantsReply: true) else { return }
            default: return
            }
        }
    }

    private func readMessage() -> Header? {
        incoming.clear()
        let start = incoming.extend(16)
        guard Sockets.readAll(descriptor, UnsafeMutableRawBufferPointer(start: start, count: 16)) else { return nil }
        let header = Header(incoming.start)
        guard header.length >= 16 + 5, header.length <= Self.messageBytesMax else { return nil }
        let rest = UnsafeMutableRawBufferPointer(start: incoming.extend(header.length - 16), count: header.length - 16)
        return Sockets.readAll(descriptor, rest) ? header : nil
    }

    /// OP_MSG: flags, then sections of a body (kind 0) or a named sequence of documents (kind 1).
    private func parseMessage(_ header: Header) -> (command: StandInCommand, wantsReply: Bool)? {
        let flags = UInt32(littleEndian: incoming.start.loadUnaligned(fromByteOffset: 16, as: UInt32.self))
        let end = header.length - (flags & 1 == 1 ? 4 : 0)
        var offset = 20
        var body: RawDocument?
        var sequences: [String: [RawDocument]] = [:]
        while offset < end {
            let kind = incoming.start.load(fromByteOffset: offset, as: UInt8.self)
            offset += 1
            if kind == 0 {
                guard let document = document(at: offset, limit: end) else { return nil }
                body = document
                offset += document.count
            } else {
                guard offset + 4 <= end else { return nil }
                let size = incoming.start.loadUnaligned(fromByteOffset: offset, as: Int32.self)
                let sectionEnd = offset + Int(Int32(littleEndian: size))
                guard kind == 1, sectionEnd <= end, let name = text(at: offset + 4, limit: sectionEnd) else {
                    return nil
                }
                var documents: [RawDocument] = []
                offset += 4 + name.utf8.count + 1
                while offset < sectionEnd {
                    guard let document = document(at: offset, limit: sectionEnd) else { return nil }
                    documents.append(document)
                    offset += document.count
                }
                sequences[name] = documents
            }
        }
        guard let body, let command = StandInCommand(body, sequences: sequences) else { return nil }
        return (command, flags & 2 == 0)
    }

    /// OP_QUERY, in which drivers send their first hello: flags, `admin.$cmd`, skip, count, the command.
    private func parseQuery(_ header: Header) -> StandInCommand? {
        guard let name = text(at: 20, limit: header.length) else { return nil }
        let place = 20 + name.utf8.count + 1 + 8
        guard name.hasSuffix(".$cmd"), let document = document(at: place, limit: header.length) else { return nil }
        return StandInCommand(document["$query"]?.document ?? document, sequences: [:])
    }

    private func text(at offset: Int, limit: Int) -> String? {
        let bytes = UnsafeRawBufferPointer(start: incoming.start, count: incoming.count)
        guard offset < limit, let end = bytes[offset..<limit].firstIndex(of: 0) else { return nil }
        return String(decoding: bytes[offset..<end], as: UTF8.self)
    }

    private func document(at offset: Int, limit: Int) -> RawDocument? {
        guard offset + 5 <= limit else { return nil }
        let size = Int(Int32(littleEndian: incoming.start.loadUnaligned(fromByteOffset: offset, as: Int32.self)))
        let start = UnsafePointer((incoming.start + offset).assumingMemoryBound(to: UInt8.self))
        guard size >= 5, offset + size <= limit,
            RawDocument.isValid(UnsafeBufferPointer(start: start, count: size))
        else { return nil }
        return RawDocument(start: start, count: size)
    }

    private func beginReply(to header: Header, opcode: Int32) {
        reply.clear()
        reply.append(Int32(0))
        reply.append(Int32.random(in: 1 ... .max))
        reply.append(header.requestID)
        reply.append(opcode)
    }

    /// False when the connection is over.
    private mutating func answer(_ command: StandInCommand, wantsReply: Bool) -> Bool {
        let head = reply.count
        var after: StandInFault.Action?
        do {
            if let fault = server.nextFault(command) {
                guard try before(fault) else { return false }
                after = fault
            }
            if case .answer(let document) = after {
                reply.append(document)
            } else {
                try server.execute(command, &login, number, to: reply)
            }
        } catch {
            reply.shorten(to: head)
            let failure = error as? CommandFailure ?? CommandFailure(8, "UnknownError", String(describing: error))
            reply.append(Self.document(failure))
        }
        reply.patch(reply.count, at: 0)
        return finish(after, wantsReply)
    }

    private static func document(_ failure: CommandFailure) -> [UInt8] {
        BSONWriter.document {
            $0.append("ok", double: 0)
            $0.append("errmsg", string: failure.message)
            $0.append("code", int32: failure.code)
            $0.append("codeName", string: failure.name)
            if !failure.labels.isEmpty { $0.append("errorLabels", strings: failure.labels) }
        }
    }

    /// What happens before the command is carried out; false when it is not, and nothing more follows.
    private func before(_ fault: StandInFault.Action) throws -> Bool {
        switch fault {
        case .fail(let code, let name, let labels):
            throw CommandFailure(code, name, "scripted: \(name)", labels: labels)
        case .dropBefore: return false
        case .neverAnswer:
            // Nothing is read any more either, until the stand-in ends the connection.
            var polled = pollfd(fd: descriptor, events: Int16(0x2000), revents: 0)
            while poll(&polled, 1, -1) < 0, errno == EINTR {}
            return false
        case .run(let body): try body(server)
        case .answer, .dropAfter, .reset, .delay, .hold, .truncate: break
        }
        return true
    }

    private func finish(_ fault: StandInFault.Action?, _ wantsReply: Bool) -> Bool {
        switch fault {
        case .dropAfter: return false
        case .reset:
            Sockets.resetOnClose(descriptor)
            return false
        case .delay(let time):
            // The end of the connection ends the wait.
            var polled = pollfd(fd: descriptor, events: Int16(0x2000), revents: 0)
            poll(&polled, 1, Int32(clamping: Int(time / .milliseconds(1))))
        case .hold(let gate): gate.pass()
        case .truncate(let part):
            let size = min(reply.count - 1, max(1, Int(Double(reply.count) * part)))
            _ = Sockets.writeAll(descriptor, UnsafeRawBufferPointer(rebasing: reply.bytes[..<size]))
            return false
        default: break
        }
        guard wantsReply else { return true }
        server.countReply(bytes: reply.count)
        return Sockets.writeAll(descriptor, reply.bytes)
    }
}

/// Who a connection has shown to be.
struct StandInLogin {
    var conversation: ScramServer.Conversation?
    var isAuthenticated = false
}
