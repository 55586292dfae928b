# The measurement behind bin/bench.d/retail: one NDJSON file of sale lines into silver by `tallyman run retail --stage
# silver`, and the same rows by psql's \copy into the same table of another database, in turns.
import hashlib
import os
import pathlib
import subprocess
import sys
import time
import urllib.parse

URL, TALLYMAN, FOLDER, LINES, ROUNDS = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), *map(int, sys.argv[4:6])
# What docs/retail.md promises.
SPEED_MIN, RSS_MAX = 0.6, 64
LINES_PER_SALE = 3
COLUMNS = "sale_id, line_no, product_sku, quantity, amount, _ingestion_ts, _batch_id"
PATH = "sales_product/2026-01-15/20260115_000000.ndjson"
BATCH = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


def psql(url, sql):
    done = subprocess.run(["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", url, "-c", sql], capture_output=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr.decode())
    return done.stdout.decode().strip()


def database(name):
    psql(URL, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    psql(URL, f"CREATE DATABASE {name}")
    return urllib.parse.urlsplit(URL)._replace(path="/" + name).geturl()


def write_rows(ndjson, csv):
    """The same rows in both forms; every value follows from the row's number."""
    with open(ndjson, "w") as lines, open(csv, "w") as table:
        for number in range(LINES):
            sale, line = number // LINES_PER_SALE + 1, number % LINES_PER_SALE + 1
            sku, quantity = f"SKU-{(number * 7919) % 5000}", number % 9 + 1
            amount = f"{(number * 104729) % 100000}.{number % 100:02d}"
            stamp = f"2026-01-15T10:{number // 60 % 60:02d}:{number % 60:02d}.123456Z"
            lines.write(
                f'{{"sale_id":{sale},"line_no":{line},"product_sku":"{sku}","quantity":{quantity},"amount":{amount},'
                f'"_ingestion_ts":"{stamp}","_batch_id":"{BATCH}"}}\n'
            )
            table.write(f"{sale},{line},{sku},{quantity},{amount},{stamp},{BATCH}\n")


def timed(arguments, environment=None):
    """Seconds, and the peak of resident memory in MiB of this one process."""
    started = time.monotonic()
    child = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        raise SystemExit(output.decode())
    return time.monotonic() - started, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def main():
    ndjson, csv = FOLDER / "bronze" / PATH, FOLDER / "rows.csv"
    ndjson.parent.mkdir(parents=True)
    write_rows(ndjson, csv)
    size = ndjson.stat().st_size
    with open(ndjson, "rb") as file:
        # Piece by piece: what this process holds would count as its children's peak.
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    ours, theirs = database("tallyman_bench"), database("tallyman_bench_copy")
    environment = dict(
        os.environ, RETAIL_DATABASE_URL=ours, API_BASE_URL="http://127.0.0.1:9", BRONZE_DIR=str(FOLDER / "bronze"),
        LOG_LEVEL="error",
    )
    subprocess.run([TALLYMAN, "migrate", "up"], env=environment, check=True, stdout=subprocess.DEVNULL)
    psql(theirs, "CREATE SCHEMA silver")
    psql(
        theirs,
        "CREATE TABLE silver.sales_product (sale_id bigint NOT NULL, line_no integer NOT NULL, product_sku text, "
        "quantity integer, amount numeric, _ingestion_ts timestamptz, _batch_id uuid, PRIMARY KEY (sale_id, line_no))",
    )
    print(f"{LINES} sale lines, {size / 1e6:.0f} MB of NDJSON, {csv.stat().st_size / 1e6:.0f} MB of CSV")
    print(f"PostgreSQL {psql(ours, 'SHOW server_version')}, {os.cpu_count()} CPUs")
    copies, loads, peaks = [], [], []
    for number in range(1, ROUNDS + 1):
        psql(theirs, "TRUNCATE silver.sales_product")
        psql(theirs, "CHECKPOINT")
        seconds, memory, cpu = timed(
            ["psql", "-X", "-q", theirs, "-c", f"\\copy silver.sales_product ({COLUMNS}) FROM '{csv}' (FORMAT csv)"]
        )
        copies.append(seconds)
        psql(ours, "TRUNCATE silver.sales_product, meta.bronze_files")
        psql(
            ours,
            "INSERT INTO meta.bronze_files (entity, path, day, records, bytes, sha256, batch_id) VALUES "
            f"('sales_product', '{PATH}', '2026-01-15', {LINES}, {size}, '\\x{digest}', '{BATCH}')",
        )
        psql(ours, "CHECKPOINT")
        load, peak, load_cpu = timed([TALLYMAN, "run", "retail", "--stage", "silver"], environment)
        loads.append(load)
        peaks.append(peak)
        print(
            f"round {number}: \\copy {seconds:.2f} s ({LINES / seconds:,.0f} rows/s); tallyman {load:.2f} s "
            f"({LINES / load:,.0f} rows/s), {load_cpu:.2f} s of CPU, peak RSS {peak:.1f} MiB; {seconds / load:.2f} x"
        )
    same = [
        # By value: 0 and 0.00 are one number.
        psql(
            url,
            "SELECT count(*), md5(string_agg((t.sale_id, t.line_no, t.product_sku, t.quantity, trim_scale(t.amount), "
            "t._ingestion_ts, t._batch_id)::text, ' ' ORDER BY sale_id, line_no)) FROM silver.sales_product t",
        )
        for url in (ours, theirs)
    ]
    if same[0] != same[1]:
        raise SystemExit("the two tables differ")
    print(f"both tables hold the same rows; best against best: {min(copies) / min(loads):.2f} x the speed of \\copy")
    for name in ("tallyman_bench", "tallyman_bench_copy"):
        psql(URL, f"DROP DATABASE {name} WITH (FORCE)")
    promises = [
        (f"{SPEED_MIN} x the speed of \\copy", min(copies) / min(loads) >= SPEED_MIN),
        (f"peak RSS under {RSS_MAX} MiB", max(peaks) < RSS_MAX),
    ]
    for text, holds in promises:
        print(f"{'PASS' if holds else 'MISS'}: {text}")
    if not all(holds for _, holds in promises):
        raise SystemExit(1)


main()
