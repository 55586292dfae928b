"""The measuring half of bin/bench.d/sync: usage: sync.py RESULTS PRODUCTS ROUNDS SECTION...

Sections: sync (first, unchanged, one percent stale and missing, batch sizes), peers, growth, sizes, serve. What it needs
comes from the environment, set by bin/bench.d/sync.
"""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from bench_measure import Results, run  # noqa: E402

ENV = os.environ
TALLYMAN, STAND_IN, DRAIN = ENV["TALLYMAN"], ENV["STAND_IN"], ENV["DRAIN"]
POSTGRES, STATE, RUN = ENV["POSTGRES_URL"], ENV["STATE"], ENV["RUN"]
CART = POSTGRES + "/cart"
PEERS = pathlib.Path(__file__).resolve().parents[2] / "Benchmarks" / "Peers"
FIELDS = ["title", "price", "image", "sellerId", "quantity"]
COLUMNS = 'id, title, price, image, "sellerId", quantity'
ORDERED = f"\\copy (SELECT {COLUMNS} FROM product ORDER BY id) TO '/dev/null' (FORMAT binary)"
# The stretch of time in which the daemon answers wrk, and how long wrk's connections wait between two requests.
WRK_SECONDS, WRK_PAUSE_MS = 4, 10


def sql(*statements, database="cart"):
    subprocess.run(["psql", "-Xqd", f"{POSTGRES}/{database}", "-v", "ON_ERROR_STOP=1",
                    *(word for one in statements for word in ("-c", one))], check=True, stdout=subprocess.DEVNULL)


def psql(command):
    return ["psql", "-Xqd", CART, "-v", "ON_ERROR_STOP=1", "-c", command]


class Source:
    """Where the products are: a database's URL, its name, and how drivers that want no database in it are told."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.url, self.database = url, parts.path.strip("/")
        self.server = urllib.parse.urlunsplit(parts._replace(path="/"))

    def drain(self, fields=None):
        return [DRAIN, self.url, self.database, "products", *(FIELDS if fields is None else fields)]


@contextlib.contextmanager
def source(count, size=520):
    """Products of that number and size in the stand-in, or copied from it into the MongoDB of BENCH_MONGO_URL."""
    print(f"==> {count} products of {size} bytes", file=sys.stderr, flush=True)
    stand_in = subprocess.Popen([STAND_IN, "--port", "0", "--products", str(count), "--size", str(size)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = stand_in.stdout.readline()
        found = re.search(r"mongodb://[^/\s]+", line)
        if not found:
            raise RuntimeError(f"the stand-in said: {line}")
        made = Source(found.group() + "/product")
        if ENV.get("BENCH_MONGO_URL"):
            made = copied(made)
        ENV["PRODUCT_SERVICE_MONGODB_URL"] = made.url
        yield made
    finally:
        stand_in.stdin.close()
        stand_in.terminate()
        stand_in.wait()


def copied(made):
    parts = urllib.parse.urlsplit(ENV["BENCH_MONGO_URL"])
    query = parts.query
    if parts.username and "authsource=" not in query.lower():
        # Who logs in is kept in the database of the URL, admin where it names none; the path is about to change.
        query = "&".join(filter(None, [query, f"authSource={parts.path.strip('/') or 'admin'}"]))
    other = Source(urllib.parse.urlunsplit(parts._replace(path="/tallyman_bench", query=query)))
    run([[f"{STATE}/dlt/bin/python", str(PEERS / "fill.py"), made.url, other.url]])
    return other


def tallyman(*arguments):
    return [TALLYMAN, "sync", *arguments]


def empty():
    sql("TRUNCATE product", "CHECKPOINT")


def settle():
    """After a load every row's visibility is still to be settled, and whoever reads first would pay for it."""
    sql("VACUUM (ANALYZE) product", "CHECKPOINT")


def counted(kind, count, measured):
    """The measured sync, once its own summary says that it did what the row claims."""
    # A line of libmongoc's own may stand before it.
    text = measured["output"][-1]
    found, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    found = found["results"]["productSync"]
    if found[f"{kind}Products"] != count:
        raise RuntimeError(f"the sync should have {kind} {count} products: {found}")
    return measured


def first_sync(results, products, rounds):
    work = f"First sync of {products:,} products"
    both = "drain and COPY side by side"
    file = f"{RUN}/product.bin"
    empty()
    run([tallyman("--batch-size", "10000")])
    sql(f"\\copy product TO '{file}' (FORMAT binary)")
    copy = psql(f"\\copy product FROM '{file}' (FORMAT binary)")
    with_source = made.drain()
    for _ in range(rounds):
        results.add(work, "drain (libmongoc in C)", products, run([with_source]), both)
        empty()
        results.add(work, "COPY BINARY (psql)", products, run([copy]), both)
        empty()
        results.add(work, both, products, run([with_source, copy]), both)
        for size in (10_000, 1_000, 100):
            empty()
            measured = run([tallyman("--batch-size", str(size), "--json")])
            results.add(work, f"**Tallyman**, batches of {size:,}", products,
                        counted("inserted", products, measured), both)
    os.unlink(file)


def compares(results, products, rounds):
    """One percent is measured beside the compare that finds nothing, and beside psql writing the same rows meanwhile."""
    both = "drain and COPY OUT in key order side by side"
    nothing, stale, missing = (f"{name} of {products:,} products"
                               for name in ("Compare, nothing changed", "1 % stale", "1 % missing"))
    unchanged, some, file = "**Tallyman**, nothing changed", products // 100, f"{RUN}/some.bin"
    chosen = "id IN (SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM product) x WHERE n % 100 = 1)"
    sql(f"CREATE TABLE one_percent AS SELECT * FROM product WHERE {chosen}", "ANALYZE one_percent",
        f"\\copy one_percent TO '{file}' (FORMAT binary)")
    update = 'UPDATE product p SET ' + ", ".join(f'"{name}" = s."{name}"' for name in FIELDS)
    works = {
        stale: (f"UPDATE product SET title = title || '!' WHERE {chosen}", "updated", "UPDATE of the same rows",
                f"SET enable_hashjoin = off; SET enable_mergejoin = off; {update} FROM one_percent s WHERE s.id = p.id"),
        missing: (f"DELETE FROM product WHERE {chosen}", "inserted", "COPY of the same rows",
                  f"\\copy product FROM '{file}' (FORMAT binary)"),
    }
    reading = [made.drain(), psql(ORDERED)]
    for _ in range(rounds):
        settle()
        results.add(nothing, "COPY OUT in key order (psql)", products, run(reading[1:]), both)
        results.add(nothing, both, products, run(reading), both)
        measured = counted("unchanged", products, run([tallyman("--json")]))
        results.add(nothing, "**Tallyman**", products, measured, both)
        for work, (spoil, kind, psqls, repair) in works.items():
            results.add(work, unchanged, products, measured, unchanged)
            sql(spoil)
            settle()
            results.add(work, f"drain, COPY OUT and psql's {psqls} side by side", products,
                        run([*reading, psql(repair)]), unchanged)
            sql(spoil)
            settle()
            results.add(work, "**Tallyman**", products, counted(kind, some, run([tallyman("--json")])), unchanged)
    sql("DROP TABLE one_percent")
    os.unlink(file)


def peer(results, work, who, products, command, note="", factor=1.0):
    """One round of a peer; one that fails has an empty cell, and says so."""
    try:
        measured = run([command])
    except (RuntimeError, OSError) as error:
        print(error, file=sys.stderr)
        return results.add(work, who, products, None, note=f"failed here: {str(error).splitlines()[0][-80:]}")
    scaled = {**measured, "seconds": measured["seconds"] * factor, "cpu": measured["cpu"] * factor}
    results.add(work, who, products, scaled, note=note)


def peers(results, products, few):
    """One round each: they take long, and what is looked at is a factor of many."""
    first, unchanged = f"First sync of {products:,} products", f"Compare, nothing changed of {products:,} products"
    stale, missing = f"1 % stale of {products:,} products", f"1 % missing of {products:,} products"
    extrapolated = "measured with {:,} products, times taken as proportional"
    none = "does not compare: it has nothing to show but a load of everything"
    password = CART.replace("postgres@", "postgres:none@") + "?sslmode=disable"
    ENV.update(SLING_DISABLE_TELEMETRY="true", SLING_HOME_DIR=f"{RUN}/sling", DISABLE_TELEMETRY="1",
               INGESTR_DISABLE_TELEMETRY="true", RUNTIME__DLTHUB_TELEMETRY="false", HOME=RUN)
    ingestr = [f"{STATE}/ingestr/bin/python", "-m", "ingestr", "ingest", "--source-uri", made.server, "--source-table",
               f"{made.database}.products", "--dest-uri", password, "--dest-table", "public.ingestr",
               "--incremental-strategy", "merge", "--primary-key", "_id", "--yes", "--progress", "log"]
    sling = next(path for path in pathlib.Path(f"{STATE}/sling").rglob("sling-linux-amd64") if path.is_file())
    sling.chmod(0o755)
    peer(results, first, "ingestr 1.1.19", products, ingestr)
    peer(results, unchanged, "ingestr 1.1.19, all of it again", products, ingestr, "merges everything once more")
    peer(results, first, "sling 1.4.11", products, [
        str(sling), "run", "--src-conn", made.url, "--src-stream", f"{made.database}.products", "--tgt-conn", password,
        "--tgt-object", "public.sling", "--mode", "full-refresh"], "writes one jsonb column")
    sql('DROP TABLE IF EXISTS ingestr', 'DROP TABLE IF EXISTS sling')
    run([tallyman()])
    sql("DELETE FROM product WHERE id IN (SELECT id FROM product ORDER BY id LIMIT (SELECT count(*) / 100 FROM product))")
    peer(results, missing, "the replaced algorithm", products, replaced(), "finds missing products only")
    for work in (unchanged, stale, missing):
        for who in ("ingestr 1.1.19", "sling 1.4.11", "dlt 1.31.0"):
            results.add(work, who, products, None, note=none)
    return first, extrapolated, password


def replaced():
    return [f"{STATE}/dlt/bin/python", str(PEERS / "id_diff.py"), made.url, made.database, CART, "product"]


def slow_peer(results, products, few, first, extrapolated, password):
    peer(results, first, "dlt 1.31.0 with pymongo", products, [
        f"{STATE}/dlt/bin/python", str(PEERS / "dlt_copy.py"), made.url, made.database, password, f"{RUN}/dlt"],
        extrapolated.format(few), products / few)


def slowest_peer(results, products, few, first, extrapolated, _):
    empty()
    peer(results, first, "the replaced algorithm", products, replaced(), extrapolated.format(few), products / few)


def growth(results, counts, rounds):
    """Each size beside the yardstick of that size: what COPY and the index cost more for more rows, they cost us too."""
    global made
    file = f"{RUN}/product.bin"
    for count in counts:
        first, again = f"Growth: first sync of {count:,}", f"Growth: compare of {count:,}"
        both = ("drain and COPY side by side", "drain and COPY OUT in key order side by side")
        with source(count) as made:
            empty()
            run([tallyman()])
            sql(f"\\copy product TO '{file}' (FORMAT binary)")
            for _ in range(rounds if count < 5_000_000 else 1):
                empty()
                copy = psql(f"\\copy product FROM '{file}' (FORMAT binary)")
                results.add(first, both[0], count, run([made.drain(), copy]), both[0])
                empty()
                measured = run([tallyman("--batch-size", "10000", "--json")])
                results.add(first, "**Tallyman**", count, counted("inserted", count, measured), both[0])
                settle()
                results.add(again, both[1], count, run([made.drain(), psql(ORDERED)]), both[1])
                measured = run([tallyman("--json")])
                results.add(again, "**Tallyman**", count, counted("unchanged", count, measured), both[1])
            os.unlink(file)
    empty()


def sizes(results, rounds, quick):
    """The description, which makes a document as large as asked for, is mapped here and travels whole."""
    global made
    mapping = pathlib.Path(RUN) / "description.yaml"
    mapping.write_text("collection: products\ntable: described\nkey: id\ncolumns:\n  title: title\n"
                       "  description: description\n", encoding="utf-8")
    sql("CREATE TABLE described (id varchar(24) PRIMARY KEY, title varchar, description text)")
    ENV["SYNC_MAPPING"] = str(mapping)
    for label, size, count in (("1 KiB", 1 << 10, 200_000), ("100 KiB", 100 << 10, 3_000), ("16 MiB", (16 << 20) - 4096, 12)):
        count = count // 4 if quick and count > 100 else count
        work, both = f"Documents of {label}: {count:,} of them", "drain and COPY side by side"
        file = f"{RUN}/described.bin"
        with source(count, size) as made:
            sql("TRUNCATE described")
            run([tallyman()])
            sql(f"\\copy described TO '{file}' (FORMAT binary)")
            copy = psql(f"\\copy described FROM '{file}' (FORMAT binary)")
            for _ in range(rounds):
                sql("TRUNCATE described", "CHECKPOINT")
                results.add(work, both, count, run([made.drain(["title", "description"]), copy]), both)
                sql("TRUNCATE described", "CHECKPOINT")
                results.add(work, "**Tallyman**, first sync", count,
                            counted("inserted", count, run([tallyman("--json")])), both)
                results.add(work, "**Tallyman**, compare", count,
                            counted("unchanged", count, run([tallyman("--json")])), both)
    del ENV["SYNC_MAPPING"]
    os.unlink(file)
    sql("DROP TABLE described")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def daemon():
    """A daemon of its own, and how many milliseconds passed from its start to its first 200 at /live."""
    port = free_port()
    env = {"PATH": ENV["PATH"], "PORT": str(port), "HOST": "127.0.0.1", "CART_DB_URL": CART, "APP_ENV": "production",
           "LOG_LEVEL": "warning", "PRODUCT_SERVICE_MONGODB_URL": made.url, "ENABLE_SCHEDULER": "false"}
    began = time.monotonic()
    child = subprocess.Popen([TALLYMAN, "serve"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/live", timeout=5) as answer:
                    answer.read()
                break
            except OSError:
                if child.poll() is not None or time.monotonic() - began > 30:
                    raise
                time.sleep(0.001)
        yield port, child.pid, (time.monotonic() - began) * 1000
    finally:
        child.terminate()
        child.wait()


def wrk(port, path):
    """p99 in milliseconds and the requests a second, eight connections that each wait a little between requests."""
    script = pathlib.Path(RUN) / "pause.lua"
    script.write_text(f"function delay() return {WRK_PAUSE_MS} end\n", encoding="ascii")
    text = subprocess.run(["wrk", "-t1", "-c8", f"-d{WRK_SECONDS}s", "--latency", "-s", str(script),
                           f"http://127.0.0.1:{port}{path}"], check=True, stdout=subprocess.PIPE, text=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(text)
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit], float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))


def serve(rounds):
    """Prints the table of the daemon: start, memory, and how it answers while it syncs."""
    starts, idle, quiet, during, syncs = [], [], {}, {}, 0
    for _ in range(max(5, rounds)):
        with daemon() as (port, pid, took):
            starts.append(took)
            time.sleep(1)
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                idle.append(next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS")))
    with daemon() as (port, pid, _):
        for _ in range(rounds):
            for path in ("/live", "/metrics"):
                quiet.setdefault(path, []).append(wrk(port, path)[0])
                over = threading.Event()
                done = []

                def keep_syncing():
                    while not over.is_set():
                        sql("TRUNCATE product")
                        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/etl/sync", method="POST", data=b"")
                        with urllib.request.urlopen(request, timeout=120) as answer:
                            assert json.load(answer)["success"] is True
                        done.append(1)

                thread = threading.Thread(target=keep_syncing)
                thread.start()
                time.sleep(0.3)
                during.setdefault(path, []).append(wrk(port, path)[0])
                over.set()
                thread.join()
                syncs += len(done)
    middle = lambda values: sorted(values)[len(values) // 2]  # noqa: E731
    lines = ["| The daemon | Median | Least to most | Aim |", "|---|---|---|---|"]
    for name, values, unit, aim in (
            ("start to the first answer of `/live`", starts, "ms", "below 100"),
            ("resident memory, idle", idle, "MiB", "below 40"),
            ("`/live` p99, nothing else to do", quiet["/live"], "ms", ""),
            ("`/live` p99 during first syncs", during["/live"], "ms", "below 5"),
            ("`/metrics` p99, nothing else to do", quiet["/metrics"], "ms", ""),
            ("`/metrics` p99 during first syncs", during["/metrics"], "ms", "")):
        lines.append(f"| {name} | {middle(values):.1f} {unit} | {min(values):.1f} to {max(values):.1f} | {aim} |")
    return "\n".join(lines) + f"\n\n{syncs} syncs ran meanwhile; `wrk -t1 -c8`, each connection pausing {WRK_PAUSE_MS} ms.\n"


def main(path, products, rounds, sections):
    global made
    results, quick = Results(path), products < 1_000_000
    with source(products) as made:
        if "sync" in sections:
            first_sync(results, products, rounds)
            compares(results, products, rounds)
        if "serve" in sections:
            with open(f"{RUN}/serve.md", "w", encoding="utf-8") as file:
                file.write(serve(rounds))
        if "peers" in sections:
            few = min(products, 10_000 if quick else 100_000)
            rest = peers(results, products, few)
    if "peers" in sections:
        with source(few) as made:
            slow_peer(results, products, few, *rest)
        with source(few // 10) as made:
            slowest_peer(results, products, few // 10, *rest)
    if "sizes" in sections:
        sizes(results, rounds, quick)
    if "growth" in sections:
        growth(results, [products // 10, products, products * 10], rounds)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
