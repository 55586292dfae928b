"""A shop to look at: the real daemon over a PostgreSQL database and the MongoDB stand-in, and SQL that fills a ledger.

The programs come from the environment: TALLYMAN_BINARY, MONGO_STAND_IN, and CART_DB_URL names an empty database.
"""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

TABLE = """
    CREATE TABLE product (
        id varchar PRIMARY KEY, title varchar, price numeric, image varchar, "sellerId" varchar, quantity int)
"""
KEY = "a-key-for-tests-that-is-long-enough-00"


def wait_for(what, condition, seconds=60):
    """Asks until the answer is true; fails with `what` after a while."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


class Shop:
    """The servers of one scenario; a `with` ends them."""

    def __init__(self, products=400, **settings):
        self.cart = os.environ["CART_DB_URL"]
        self.settings = settings
        self.daemon = None
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.source = subprocess.Popen(
            [os.environ["MONGO_STAND_IN"], "--products", str(products)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        line = self.source.stdout.readline()
        self.source_url = re.search(r"mongodb://\S+", line).group()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.psql(TABLE)
        self.run("migrate", "up")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.daemon:
            self.stop()
        self.source.stdin.close()
        self.source.wait(20)
        if error[0]:
            self.log.seek(0)
            print("--- the daemon's last lines\n" + "".join(self.log.readlines()[-25:]))

    @property
    def environment(self):
        return {
            "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "CART_DB_URL": self.cart,
            "PRODUCT_SERVICE_MONGODB_URL": self.source_url, "HOST": "127.0.0.1", "PORT": str(self.port),
            "APP_ENV": "production", "LOG_LEVEL": "info", "HEALTH_CHECK_CRON_SCHEDULE": "0 3 1 1 *",
            "SYNC_CRON_SCHEDULE": "0 3 1 1 *", **self.settings,
        }

    def run(self, *arguments):
        """A command of tallyman to its end; what it printed."""
        ended = subprocess.run(
            [os.environ["TALLYMAN_BINARY"], *arguments], env=self.environment, cwd=tempfile.gettempdir(),
            capture_output=True, text=True, timeout=180,
        )
        assert ended.returncode in (0, 3), f"tallyman {arguments[0]}: {ended.returncode} {ended.stderr}"
        return ended.stdout

    def start(self):
        self.daemon = subprocess.Popen(
            [os.environ["TALLYMAN_BINARY"], "serve"], env=self.environment, cwd=tempfile.gettempdir(),
            stdout=self.log, stderr=self.log,
        )
        wait_for("the daemon answers", self.answers)
        return self

    def answers(self):
        assert self.daemon.poll() is None, "the daemon ended"
        try:
            with urllib.request.urlopen(f"{self.origin}/live", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self, number=signal.SIGTERM):
        self.daemon.send_signal(number)
        self.daemon.wait(30)
        self.daemon = None

    def get(self, path, token=None):
        request = urllib.request.Request(self.origin + path)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def psql(self, sql):
        ended = subprocess.run(
            ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.cart, "-c", sql],
            capture_output=True, text=True, timeout=300,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def source_does(self, command):
        """A command of the stand-in, such as `revise 0 10 1`."""
        self.source.stdin.write(command + "\n")
        self.source.stdin.flush()
        answer = self.source.stdout.readline()
        assert answer.startswith("done"), answer

    def token(self, scope, ttl="1h", subject="ada"):
        return self.run("token", "--scope", scope, "--ttl", ttl, "--subject", subject).strip()


COUNTS = """
    jsonb_build_object('counts', jsonb_build_object('missingProducts', m, 'staleProducts', s, 'orphanedProducts', 3,
        'syncedProducts', m + s, 'insertedProducts', m, 'updatedProducts', s, 'deletedProducts', 3,
        'markedProducts', 0, 'unchangedProducts', 50000 - m - s, 'totalProductsInSource', 50000,
        'totalProductsInTarget', 50000 - m, 'deadLetters', 0, 'newerInTarget', 0, 'changedMeanwhile', 0,
        'batches', (m + s) / 100 + 1, 'orphansDeferred', 0),
        'details', '{"errors": []}'::jsonb, 'proof', 'command-tags', 'retries', 0)
"""


def history(runs, hours, job="product_sync", failing=29, seed=0.4):
    """SQL that writes `runs` ended runs over the last `hours` hours; the same ones each time."""
    return f"""
        SELECT setseed({seed});
        WITH made AS (
            SELECT n, clock_timestamp() - make_interval(secs => {hours} * 3600.0 * n / {runs} + 60) AS began,
                6 + 3 * random() + 5 * (1 + sin(n / 7.0)) AS seconds,
                (40 * (1 + sin(n / 5.0)) + 20 * random())::int AS m, (25 * random() * (1 + cos(n / 9.0)))::int AS s,
                CASE WHEN n % {failing} = {failing} / 2 THEN 'failed' WHEN n % 37 = 20 THEN 'partial'
                    WHEN n % 53 = 31 THEN 'interrupted' ELSE 'succeeded' END AS state
            FROM generate_series(1, {runs}) n)
        INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, state, holder, queued_at, started_at,
            finished_at, heartbeat_at, progress, summary, error)
        SELECT gen_random_uuid(), '{job}', 'schedule', 'scheduler', false, state, 'quay:1', began, began,
            began + make_interval(secs => seconds), began + make_interval(secs => seconds),
            jsonb_build_object('stage', 'compare', 'read', 50000, 'compared', 50000, 'written', m + s, 'total', 50000,
                'rowsPerSecond', 50000 / seconds),
            CASE WHEN state IN ('succeeded', 'partial') THEN {COUNTS} END,
            CASE WHEN state = 'failed' THEN '{{"kind": "target-unreachable", "stage": "sync.write",
                "summary": "the target closed the connection", "remedy": "Look at the server; the run is repeated."}}'::jsonb
            END
        FROM made;
    """
