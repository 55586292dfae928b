package import Postgres

/// What a webhook named, until each pipeline that it concerns has read it again.
package struct Notice: Sendable, Equatable {
    package let id: String
    package let topic: String
    package let objectID: String?

    package init(id: String, topic: String, objectID: String?) {
        self.id = id
        self.topic = topic
        self.objectID = objectID
    }

    /// The pipelines that a topic concerns.
    static func pipelines(_ topic: String) -> [Pipeline] {
        switch topic.split(separator: "/").first {
        case "orders", "refunds", "returns": [.sales]
        case "products": [.products, .listings]
        default: []
        }
    }
}

/// Rows of `marketplace.notices`.
package enum Notices {
    /// Keeps a notice for every pipeline it concerns; false when it was kept before.
    package static func keep(_ notice: Notice, source: String, scope: String, on connection: PGConnection) async throws
        -> Bool
    {
        let pipelines = Notice.pipelines(notice.topic).map(\.rawValue)
        guard !pipelines.isEmpty else { return true }
        return try await connection.query(
            """
            INSERT INTO marketplace.notices (source, scope, notice_id, pipeline, topic, object_id)
            SELECT $1, $2, $3, pipeline, $4, $5 FROM unnest($6::text[]) AS pipeline ON CONFLICT DO NOTHING
            """,
            [
                .text(source), .text(scope), .text(notice.id), .text(notice.topic),
                notice.objectID.map { .text($0) } ?? .null, .textArray(pipelines),
            ]
        ).affectedRows > 0
    }

    static func open(_ scope: SourceScope, _ pipeline: Pipeline, limit: Int, on connection: PGConnection) async throws
        -> [Notice]
    {
        try await connection.query(
            """
            SELECT notice_id, topic, object_id FROM marketplace.notices
            WHERE source = $1 AND scope = $2 AND pipeline = $3 AND settled_at IS NULL
            ORDER BY received_at, notice_id LIMIT $4
            """,
            [.text(scope.source), .text(scope.scope), .text(pipeline.rawValue), .int(Int64(limit))]
        ).rows.map {
            Notice(id: try $0[0].string(), topic: try $0[1].string(), objectID: $0[2].isNull ? nil : try $0[2].string())
        }
    }

    /// Marks notices as read again, and forgets those settled a week ago: no delivery is repeated so late.
    static func settle(_ notices: [Notice], _ scope: SourceScope, _ pipeline: Pipeline, on connection: PGConnection)
        async throws
    {
        _ = try await connection.query(
            """
            UPDATE marketplace.notices SET settled_at = clock_timestamp()
            WHERE source = $1 AND scope = $2 AND pipeline = $3 AND notice_id = ANY ($4)
            """,
            [
                .text(scope.source), .text(scope.scope), .text(pipeline.rawValue), .textArray(notices.map(\.id)),
            ]
        )
        _ = try await connection.query(
            "DELETE FROM marketplace.notices WHERE source = $1 AND settled_at < clock_timestamp() - interval '7 days'",
            [.text(scope.source)]
        )
    }
}
