import Foundation
import TestKit

/// Daemons on one state database, a shop on the stand-in and a cart that tells what was done to it.
///
/// Triggers in the cart write down what must never happen, so that nothing rests on looking at the right moment: a row
/// set back to an older revision, a run beside another one of its job, a step the state machine does not know.
struct Replicas {
    let source: MongoStandIn
    let postgres: TestPostgres
    let cart: String

    static func make(products: Int, source: MongoStandIn? = nil, in server: RestartablePostgres? = nil) async throws
        -> Replicas
    {
        let source = try source ?? MongoStandIn()
        if products > 0 { try source.loadProducts(0..<products) }
        let postgres = try server.map { TestPostgres(adminURL: $0.url) } ?? TestPostgres.shared()
        let replicas = Replicas(source: source, postgres: postgres, cart: try postgres.freshDatabase())
        try replicas.psql(CrashShop.table)
        let ended = try TallymanBinary.run(["migrate", "up"], replicas.settings())
        guard ended.exit == .code(0) else { throw TestServiceMissing(ended.errorText) }
        try replicas.psql(Self.witnesses)
        return replicas
    }

    /// Settings of a daemon; through proxies when they are given.
    func settings(mongoPort: Int? = nil, cartPort: Int? = nil) -> [String: String] {
        let mongo = "mongodb://127.0.0.1:\(mongoPort ?? source.port)/product"
        var url = cart
        if let cartPort, let port = URL(string: cart)?.port {
            url = cart.replacingOccurrences(of: ":\(port)/", with: ":\(cartPort)/")
        }
        return [
            "PRODUCT_SERVICE_MONGODB_URL": mongo + "?serverSelectionTimeoutMS=2000&socketTimeoutMS=3000",
            "CART_DB_URL": url, "SYNC_ORPHANS": "delete", "SYNC_MAX_DELETE_PERCENT": "100",
        ]
    }

    func daemon(_ more: [String: String] = [:], through cartPort: Int? = nil) async throws -> Daemon {
        let daemon = try Daemon(settings(cartPort: cartPort).merging(more) { $1 })
        try await daemon.ready()
        return daemon
    }

    @discardableResult
    func psql(_ sql: String) throws -> String {
        try postgres.psql(cart, sql).trimmingCharacters(in: .newlines)
    }

    /// The process id of the daemon that leads, by the lease; nil while nobody does.
    func leader() throws -> pid_t? {
        let holder = try psql(
            "SELECT holder FROM etl.leases WHERE name = 'scheduler' AND expires_at > clock_timestamp()"
        )
        return holder.split(separator: ":").last.flatMap { pid_t($0) }
    }

    /// Waits until another than `old` leads; how long that took.
    @discardableResult
    func nextLeader(after old: pid_t?, within limit: Duration = .seconds(40)) async throws -> Duration {
        try await Eventually.holds("another leads", within: limit) {
            let leader = try leader()
            return leader != nil && leader != old
        }
    }

    /// Puts a fire on record as the leader itself would; the leader starts its run within a second.
    func fire() throws {
        try psql(
            "INSERT INTO etl.fires (job, instant, run_id, outcome) "
                + "VALUES ('product_sync', clock_timestamp(), gen_random_uuid(), 'due')"
        )
    }

    /// Waits until no run is open and this many have the state.
    func runs(_ count: Int, are state: String, within limit: Duration = .seconds(60)) async throws {
        try await Eventually.holds("\(count) runs are \(state)", within: limit) {
            try psql(
                "SELECT count(*) FILTER (WHERE state = '\(state)') >= \(count) "
                    + "AND count(*) FILTER (WHERE state IN ('queued', 'running')) = 0 FROM etl.runs"
            ) == "t"
        }
    }

    /// Everything in the cart including which transaction wrote it.
    func image() throws -> String {
        try psql(
            "SELECT count(*), md5(string_agg(xmin::text || ctid::text || p::text, ',' ORDER BY id)) FROM product p"
        )
    }

    /// What the ledger's story has in it that must not be; empty when it is legal.
    func illegal() throws -> String {
        try psql(
            """
            SELECT 'no such step', was, became FROM story
            WHERE (coalesce(was, ''), became) NOT IN (
                ('', 'queued'), ('', 'skipped'), ('queued', 'running'), ('queued', 'skipped'),
                ('queued', 'cancelled'), ('queued', 'failed'), ('running', 'succeeded'), ('running', 'partial'),
                ('running', 'failed'), ('running', 'cancelled'), ('running', 'interrupted'))
            UNION ALL SELECT 'two at once', job, others::text FROM story WHERE became = 'running' AND others > 0
            UNION ALL SELECT 'a fence fell', job, fence::text FROM (
                SELECT job, fence, lag(fence) OVER (PARTITION BY job ORDER BY n) AS before
                FROM story WHERE became = 'running' AND fence IS NOT NULL) f WHERE fence <= before
            UNION ALL SELECT 'a success without proof', job, id::text FROM etl.runs
                WHERE state = 'succeeded' AND summary ->> 'proof' IS NULL
            UNION ALL SELECT 'set back', id, detail FROM undone
            UNION ALL SELECT 'one fire, two runs', job, count(*)::text FROM etl.fires WHERE run_id IS NOT NULL
                GROUP BY job, run_id HAVING count(*) > 1
            """
        )
    }

    private static let witnesses = """
        CREATE TABLE story (n bigint GENERATED ALWAYS AS IDENTITY, run uuid, job text, was text, became text,
            fence bigint, others int, at timestamptz DEFAULT clock_timestamp());
        CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO story (run, job, was, became, fence, others) VALUES (NEW.id, NEW.job,
                CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state, NEW.fence,
                (SELECT count(*) FROM etl.runs r WHERE r.job = NEW.job AND r.state = 'running' AND r.id <> NEW.id));
            RETURN NULL;
        END $$;
        CREATE TRIGGER tell_new AFTER INSERT ON etl.runs FOR EACH ROW EXECUTE FUNCTION tell();
        CREATE TRIGGER tell_moved AFTER UPDATE OF state ON etl.runs FOR EACH ROW EXECUTE FUNCTION tell();
        CREATE TABLE undone (id text, detail text);
        CREATE FUNCTION note_undone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.price < OLD.price THEN
                INSERT INTO undone VALUES (NEW.id, OLD.price || ' became ' || NEW.price);
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_undone AFTER UPDATE ON product FOR EACH ROW EXECUTE FUNCTION note_undone();
        """
}

/// Numbers for `docs/reliability.md`, printed where the test that measured them prints.
enum Measured {
    static func print(_ name: String, _ value: some CustomStringConvertible) {
        Swift.print("measured \(name) = \(value)")
    }

    static func print(_ name: String, _ value: Duration) {
        let milliseconds = value.components.seconds * 1_000 + value.components.attoseconds / 1_000_000_000_000_000
        Swift.print("measured \(name) = \(Double(milliseconds) / 1_000) s")
    }

    /// The long form of the crash tests: hours rather than minutes.
    static var isLong: Bool { ProcessInfo.processInfo.environment["TALLYMAN_LONG_TESTS"] == "1" }
}
