"""Times the analytics over one day against the same SQL in psql; what bin/bench.d/analytics runs.

    bench_analytics.py DATABASE_URL ROWS ROUNDS

TALLYMAN names the binary. Rounds alternate between psql and tallyman, so that what else the machine does falls on both;
the best of each is compared, behind a round that warms the caches. psql runs each query in a session with the settings
of tallyman's, prepared and executed with the same parameters, and throws the answers away; tallyman's time is that of
the whole process.
"""
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
URL, ROWS, ROUNDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
BINARY = os.environ["TALLYMAN"]
RATIO_MAX, PEAK_MAX_MIB, PROMISED_ROWS = 1.2, 64, 10_000_000
# Those of AnalyticsFeatureParts.sourceSettings.
SESSION = "SET timezone = 'UTC'; SET jit = off; SET cursor_tuple_fraction = 1;"
DAY, NEXT = "2026-03-10", "2026-03-11"
SOURCE, WAREHOUSE = (f"tallyman_bench_{name}_{os.getpid()}" for name in ("shop", "warehouse"))
JOBS = {
    "user_analytics": ["user_registrations", "user_activity", "daily_activity", "daily_churn", "cohort_retention",
                       "signup_funnel"],
    "order_analytics": ["order_status", "order_outcomes", "product_sales"],
    "payment_analytics": ["payment_methods", "payment_failures", "fraud_daily", "fraud_signals"],
    "notification_analytics": ["notification_kinds", "notification_channels"],
}
# Three tenths orders, three tenths lines, two tenths payments, two tenths notifications, all of the one day.
SHOP = f"""
CREATE TABLE users_v2 AS SELECT 'usr_1_' || encode(sha256(n::text::bytea), 'hex') AS user_token,
    timestamptz '{NEXT} UTC' - (n % 400) * interval '1 day' - interval '3 hours' AS created_at, 'active' AS status,
    CASE WHEN n % 7 = 0 THEN 'premium' ELSE 'free' END AS subscription_tier,
    CASE WHEN n % 3 > 0 THEN timestamptz '{DAY} UTC' END AS email_verified_at,
    timestamptz '{NEXT} UTC' - (n % 90) * interval '1 day' - interval '1 hour' AS last_activity_at
    FROM generate_series(1::bigint, {ROWS} / 50) n;
CREATE TABLE tokens AS SELECT row_number() OVER () AS number, user_token FROM users_v2;
CREATE UNIQUE INDEX ON tokens (number);
CREATE TABLE orders_v2 AS SELECT n AS id, t.user_token,
    timestamptz '{DAY} UTC' + n * (interval '24 hours' / ({ROWS} * 3 / 10 + 1)) AS created_at,
    (ARRAY['completed','completed','completed','pending','cancelled','refunded'])[1 + n % 6] AS status,
    (1 + n % 50000)::numeric / 100 AS total_amount
    FROM generate_series(1::bigint, {ROWS} * 3 / 10) n JOIN tokens t ON t.number = 1 + n % ({ROWS} / 50);
CREATE TABLE order_items_v2 AS SELECT id AS order_id, 'p-' || (id * 7919) % 20000 AS product_id,
    (1 + id % 3)::int AS quantity, (99 + id % 9000)::numeric / 100 AS unit_price FROM orders_v2;
CREATE TABLE payments_v2 AS SELECT t.user_token,
    timestamptz '{DAY} UTC' + n * (interval '24 hours' / ({ROWS} * 2 / 10 + 1)) AS created_at,
    (ARRAY['credit_card','paypal','bank_transfer'])[1 + n % 3] AS payment_method,
    (100 + (n * 7919) % 20000)::numeric / 100 AS amount,
    CASE WHEN n % 11 = 0 THEN 'failed' ELSE 'success' END AS status, (20 + n % 900)::int AS processing_time_ms,
    CASE WHEN n % 11 = 0 THEN (ARRAY['expired_card','insufficient_funds'])[1 + n % 2] END AS failure_reason,
    'DE'::text AS billing_country, CASE WHEN n % 97 = 0 THEN 'FR' ELSE 'DE' END AS ip_country
    FROM generate_series(1::bigint, {ROWS} * 2 / 10) n JOIN tokens t ON t.number = 1 + (n * 31) % ({ROWS} / 50);
CREATE TABLE notifications_v2 AS SELECT sent_at, (ARRAY['email','sms','push'])[1 + n % 3] AS channel,
    (ARRAY['welcome','offer','receipt','reminder'])[1 + n % 4] AS notification_type,
    CASE WHEN n % 9 > 0 THEN sent_at END AS delivered_at, CASE WHEN n % 3 = 0 THEN sent_at END AS opened_at,
    CASE WHEN n % 12 = 0 THEN sent_at END AS clicked_at
    FROM (SELECT n, timestamptz '{DAY} UTC' + n * (interval '24 hours' / ({ROWS} * 2 / 10 + 1)) AS sent_at
        FROM generate_series(1::bigint, {ROWS} * 2 / 10) n) x;
DROP TABLE tokens;
CREATE INDEX ON users_v2 (created_at); CREATE INDEX ON users_v2 (last_activity_at);
CREATE INDEX ON orders_v2 (created_at); CREATE INDEX ON order_items_v2 (order_id);
CREATE INDEX ON payments_v2 (created_at); CREATE INDEX ON notifications_v2 (sent_at);
"""
PARAMETERS = ", ".join([
    f"'{DAY} UTC'", f"'{NEXT} UTC'", f"'{DAY}'", f"timestamptz '{DAY} UTC' - interval '6 days'",
    f"timestamptz '{DAY} UTC' - interval '29 days'", f"timestamptz '{DAY} UTC' - interval '30 days'",
    f"timestamptz '{NEXT} UTC' - interval '30 days'", f"timestamptz '2026-03-09 UTC' - interval '182 days'", "'UTC'",
])
# What SourceSchema.v2 fills in.
V2_NAMES = {"user": "user_token", "owner": "user_token", "last_seen_at": "last_activity_at",
            "is_verified": "email_verified_at IS NOT NULL", "tier": "subscription_tier"}
OPTIONAL = {"billing_country", "ip_country", "bounced_at", "failed_at", "status"}


def database(name):
    return re.sub(r"/[^/?]*(\?|$)", rf"/{name}\1", URL, count=1) if URL.count("/") > 2 else f"{URL}/{name}"


def psql(url, sql):
    ended = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"],
                           input=sql, text=True, capture_output=True)
    if ended.returncode:
        sys.exit(ended.stderr)
    return ended.stdout


def queries(job):
    """The job's own files, each prepared and executed as tallyman does, answers thrown away."""
    text = f"{SESSION}\n\\o /dev/null\nBEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n"
    for measure in JOBS[job]:
        sql = (ROOT / f"Sources/Analytics/SQL/{measure}.sql").read_text()
        sql = re.sub(r"\{([a-z_]+)\}", lambda name: V2_NAMES.get(name[1], f"{name[1]}_v2"), sql)
        table = {"u": "users", "o": "orders", "p": "payments", "n": "notifications"}[job[0]]
        columns = psql(database(SOURCE), "SELECT attname FROM pg_attribute WHERE attnum > 0 "
                       f"AND attrelid = '{table}_v2'::regclass").split()
        present = ",".join(sorted(OPTIONAL.intersection(columns)))
        text += ("PREPARE measure(timestamptz, timestamptz, text, timestamptz, timestamptz, timestamptz, timestamptz, "
                 f"timestamptz, text, text[]) AS {sql};\n"
                 f"EXECUTE measure({PARAMETERS}, '{{{present}}}');\nDEALLOCATE measure;\n")
    return text + "COMMIT;\n"


def timed_psql(text):
    begin = time.perf_counter()
    psql(database(SOURCE), text)
    return time.perf_counter() - begin


def timed_tallyman(job):
    """Seconds, and the process's peak resident memory in MiB."""
    environment = dict(os.environ, ANALYTICS_SOURCE_URL=database(SOURCE), ANALYTICS_WAREHOUSE_URL=database(WAREHOUSE),
                       PII_TOKEN_KEY="a key of the benchmark that is long enough", ENABLE_V1_SCHEMA="false",
                       ENABLE_LEGACY_ETL="false", APP_ENV="production")
    begin = time.perf_counter()
    child = subprocess.Popen([BINARY, "run", job, "--date", DAY, "--json"], env=environment, cwd="/",
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    complaint = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(complaint.decode())
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def empty_warehouse():
    tables = psql(database(WAREHOUSE), "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class "
                  "WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text IN ('public', 'analytics')")
    psql(database(WAREHOUSE), f"TRUNCATE {tables.strip()}, etl.watermarks")


def main():
    for name in (SOURCE, WAREHOUSE):
        psql(URL, f"CREATE DATABASE {name}")
    try:
        begin = time.perf_counter()
        psql(database(SOURCE), SHOP)
        psql(database(SOURCE), "VACUUM ANALYZE")
        print(f"{ROWS:,} rows of {DAY} and {ROWS // 50:,} users loaded in {time.perf_counter() - begin:.0f} s")
        environment = dict(os.environ, ANALYTICS_SOURCE_URL=database(SOURCE),
                           ANALYTICS_WAREHOUSE_URL=database(WAREHOUSE), ENABLE_LEGACY_ETL="false",
                           PII_TOKEN_KEY="a key of the benchmark that is long enough", ENABLE_V1_SCHEMA="false")
        subprocess.run([BINARY, "migrate", "up"], env=environment, cwd="/", check=True, stdout=subprocess.DEVNULL)
        texts = {job: queries(job) for job in JOBS}
        best, memory = {}, {}
        for turn in range(ROUNDS + 1):
            empty_warehouse()
            for job in JOBS:
                plain = timed_psql(texts[job])
                ours, peak = timed_tallyman(job)
                if turn == 0:
                    continue  # The first round only warms the caches.
                old = best.get(job, (plain, ours))
                best[job] = (min(old[0], plain), min(old[1], ours))
                memory[job] = max(memory.get(job, 0), peak)
        plain, ours = (sum(pair[side] for pair in best.values()) for side in (0, 1))
        best["all"], memory["all"] = (plain, ours), max(memory.values())
        print(f"{'job':24} {'psql':>9} {'tallyman':>9} {'ratio':>6} {'peak RSS':>10}")
        missed = []
        for job, (plain, ours) in best.items():
            print(f"{job:24} {plain:8.2f}s {ours:8.2f}s {ours / plain:6.2f} {memory[job]:6.1f} MiB")
            if ours > RATIO_MAX * plain and ROWS >= PROMISED_ROWS:
                missed.append(f"{job}: {ours / plain:.2f} times psql's time, promised are {RATIO_MAX}")
            if memory[job] >= PEAK_MAX_MIB:
                missed.append(f"{job}: {memory[job]:.1f} MiB, promised are less than {PEAK_MAX_MIB}")
        counted = psql(database(WAREHOUSE), "SELECT (SELECT sum(orders) FROM analytics.order_outcomes), "
                       "(SELECT sum(transaction_count) FROM payment_analytics), "
                       "(SELECT sum(total_sent) FROM channel_analytics), (SELECT count(*) FROM user_activity), "
                       "(SELECT count(*) FROM analytics.fraud_signals), (SELECT count(*) FROM analytics.product_daily)")
        print("in the warehouse: orders {}, payments {}, notifications {}; rows of users {}, of fraud signals {}, "
              "of products {}".format(*counted.strip().split("|")))
        if missed:
            sys.exit("missed: " + "; ".join(missed))
    finally:
        for name in (SOURCE, WAREHOUSE):
            psql(URL, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


main()
