"""The clients of bin/bench.d/attack: usage: attack.py PORT DAEMON_PID ROUNDS CART_URL

Every slow client sends a byte a second; those that never read ask for a document of 95 KB a hundred times
over, which no buffer holds. While a sync runs, GET /live is asked every 10 ms over one connection and over new ones in turn.
"""

import json
import selectors
import socket
import statistics
import subprocess
import sys
import threading
import time

PORT, DAEMON, ROUNDS, CART = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
EACH = 500


def connect(buffer: int | None = None) -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect(("127.0.0.1", PORT))
    return client


def exchange(client: socket.socket, text: str) -> bytes:
    client.sendall(text.encode())
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            raise ConnectionError("the daemon hung up")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += client.recv(65536)
    return head.split(b"\r\n")[0] + b"\n" + body


def resident() -> float:
    with open(f"/proc/{DAEMON}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


class Clients:
    """1,500 of them, kept slow by a thread of their own until the last is gone."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.start = time.monotonic()
        self.gone: dict[str, list[float]] = {"head": [], "body": [], "deaf": []}
        self.slow: dict[socket.socket, str] = {}
        self.deaf: list[socket.socket] = []
        for _ in range(EACH):
            self.add("head", "GET /live HTTP/1.1\r\nHost: lo")
            self.add("body", "POST /api/etl/sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     "Content-Length: 60000\r\n\r\n{")
            deaf = connect(buffer=4096)
            deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
            self.deaf.append(deaf)
        self.thread = threading.Thread(target=self.keep_slow, daemon=True)
        self.thread.start()

    def add(self, kind: str, text: str) -> None:
        client = connect()
        client.sendall(text.encode())
        client.setblocking(False)
        self.slow[client] = kind
        self.selector.register(client, selectors.EVENT_READ)

    def keep_slow(self) -> None:
        turn = time.monotonic()
        while self.slow:
            for key, _ in self.selector.select(0.2):
                client = key.fileobj
                try:
                    ended = not client.recv(4096)
                except ConnectionError:
                    ended = True
                except BlockingIOError:
                    continue
                if ended:
                    self.drop(client)
            if time.monotonic() >= turn:
                turn = time.monotonic() + 1
                for client in list(self.slow):
                    try:
                        client.send(b"a")
                    except OSError:
                        self.drop(client)

    def drop(self, client: socket.socket) -> None:
        if client in self.slow:
            self.gone[self.slow.pop(client)].append(time.monotonic() - self.start)
            self.selector.unregister(client)
            client.close()

    def wait(self, probe: socket.socket) -> None:
        """Until the daemon counts no connection but the one that asks."""
        while time.monotonic() - self.start < 120:
            page = exchange(probe, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").decode()
            count = next(line.split()[1] for line in page.split("\n") if line.startswith("http_connections "))
            if float(count) <= 1:
                break
            time.sleep(0.5)
        else:
            raise TimeoutError(f"{count} connections are left after 120 s")
        self.gone["deaf"] = [time.monotonic() - self.start]
        self.thread.join(10)
        for client in self.deaf:
            client.close()


class Probe(threading.Thread):
    """Asks GET /live every 10 ms and remembers how long each answer took."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.took: list[float] = []
        self.peak = 0.0
        self.over = False

    def run(self) -> None:
        kept = connect()
        number = 0
        while not self.over:
            number += 1
            before = time.monotonic()
            client = kept if number % 2 else connect()
            answer = exchange(client, "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.took.append(time.monotonic() - before)
            if client is not kept:
                client.close()
            if b" 200 " not in answer.split(b"\n")[0]:
                raise RuntimeError(answer)
            self.peak = max(self.peak, resident())
            time.sleep(0.01)


def sync() -> tuple[float, Probe]:
    subprocess.run(["psql", "-X", "-q", "-d", CART, "-c", "TRUNCATE product", "-c", "CHECKPOINT"], check=True)
    client = connect()
    probe = Probe()
    probe.start()
    before = time.monotonic()
    answer = exchange(client, "POST /api/etl/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    took = time.monotonic() - before
    probe.over = True
    probe.join()
    client.close()
    body = json.loads(answer.split(b"\n", 1)[1])
    assert body["success"] is True, body
    return took, probe


def p99(values: list[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.99) - 1)] * 1000


def main() -> None:
    sync()  # Warms both sides up.
    alone, attacked, growths = [], [], []
    quiet: list[float] = []
    late: list[float] = []
    gone: dict[str, float] = {}
    for _ in range(ROUNDS):
        took, probe = sync()
        alone.append(took)
        quiet += probe.took
        peak = probe.peak
        before = resident()
        clients = Clients()
        time.sleep(0.5)
        waiting = resident() - before
        took, probe = sync()
        attacked.append(took)
        late += probe.took
        growths.append(max(waiting, probe.peak - max(peak, before)))
        asker = connect()
        clients.wait(asker)
        asker.close()
        for kind, moments in clients.gone.items():
            gone[kind] = max(gone.get(kind, 0), max(moments))
        print(f"round: alone {alone[-1]:.2f} s, attacked {took:.2f} s, memory +{growths[-1]:.1f} MiB", file=sys.stderr)
    slower = statistics.median(attacked) / statistics.median(alone) * 100 - 100
    print(f"GET /live during the sync   p99 {p99(quiet):.1f} ms alone, {p99(late):.1f} ms attacked ({len(late)} asked)")
    print(f"sync, median                {statistics.median(alone):.2f} s alone, {statistics.median(attacked):.2f} s "
          f"attacked ({slower:+.1f} %)")
    print(f"memory for {3 * EACH} clients     +{max(growths):.1f} MiB at most")
    print(f"the last was gone after     heads {gone['head']:.1f} s, bodies {gone['body']:.1f} s, deaf {gone['deaf']:.1f} s")


if __name__ == "__main__":
    main()
