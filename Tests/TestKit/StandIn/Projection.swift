/// Which fields of a document an answer carries.
struct Projection: Sendable {
    /// A field and what of it; no children means all of it.
    struct Node: Sendable {
        var name: [UInt8]
        var children: [Node] = []
    }

    private var nodes: [Node] = []
    private var includes = true
    private var withID = true
    /// The whole document.
    private(set) var isIdentity = true

    static let identity = Projection()

    private init() {}

    init(_ document: RawDocument) throws {
        var kind: Bool?
        for element in document {
            guard element.value.type == 0x08 || element.value.integer != nil else {
                throw CommandFailure(31_250, "Location31250", "only inclusion and exclusion are known here")
            }
            let wanted = element.value.isTrue
            isIdentity = false
            if element.name == "_id", !wanted || document.makeIterator().hasMore {
                withID = wanted
                continue
            }
            guard kind ?? wanted == wanted else {
                throw CommandFailure(31_254, "Location31254", "Cannot do exclusion in inclusion projection")
            }
            kind = wanted
            Self.add(FieldPath(element.name).parts[...], to: &nodes)
        }
        includes = kind ?? (isIdentity || withID)
        if includes, withID, !isIdentity, !nodes.contains(where: { $0.name == Array("_id".utf8) }) {
            nodes.insert(Node(name: Array("_id".utf8)), at: 0)
        } else if !includes, !withID {
            nodes.append(Node(name: Array("_id".utf8)))
        }
    }

    private static func add(_ path: ArraySlice<[UInt8]>, to nodes: inout [Node]) {
        guard let name = path.first else { return }
        if let index = nodes.firstIndex(where: { $0.name == name }) {
            if path.count > 1 { add(path.dropFirst(), to: &nodes[index].children) }
            return
        }
        var node = Node(name: name)
        add(path.dropFirst(), to: &node.children)
        nodes.append(node)
    }

    func write(_ document: RawDocument, to buffer: MessageBuffer) {
        if isIdentity {
            buffer.append(document.start, document.count)
        } else {
            write(document, nodes, to: buffer)
        }
    }

    private func write(_ document: RawDocument, _ nodes: [Node], to buffer: MessageBuffer) {
        let opened = buffer.open()
        // A document has a name once, so what is included can be counted off.
        var missing = includes ? nodes.count : .max
        var elements = document.makeIterator()
        while missing > 0, let element = elements.next() {
            guard let node = nodes.first(where: { element.isNamed($0.name) }) else {
                if !includes { buffer.append(element.start, element.count) }
                continue
            }
            missing -= 1
            if node.children.isEmpty {
                if includes { buffer.append(element.start, element.count) }
                continue
            }
            writeInner(element, node.children, to: buffer)
        }
        buffer.close(opened)
    }

    /// A field of which only a part is asked for: scalars have no parts.
    private func writeInner(_ element: RawElement, _ children: [Node], to buffer: MessageBuffer) {
        guard let inner = element.value.document else {
            if !includes { buffer.append(element.start, element.count) }
            return
        }
        buffer.append(element.start, element.nameCount + 2)
        guard element.value.isArray else { return write(inner, children, to: buffer) }
        let opened = buffer.open()
        var index = 0
        for item in inner {
            let document = item.value.type == 0x03 ? item.value.document : nil
            if document == nil, includes { continue }
            buffer.appendArrayKey(type: item.value.type, index: index)
            index += 1
            if let document {
                write(document, children, to: buffer)
            } else {
                buffer.append(item.value.start, item.value.count)
            }
        }
        buffer.close(opened)
    }
}

extension RawDocument.Iterator {
    fileprivate var hasMore: Bool {
        var copy = self
        return copy.next() != nil && copy.next() != nil
    }
}
