"""The clients of bin/bench.d/attack.

usage: attack.py PORT DAEMON_PID ROUNDS CART_URL     runs the rounds and prints what they gave
       attack.py clients PORT                        1,500 clients that only take, until standard input ends
       attack.py sink                                accepts connections and never reads; prints its port

Every slow client sends a byte a second, spread evenly over the second; those that never read ask for a document of 95 KB
a hundred times over. They are a process of their own with a low priority, all connected before a sync begins, since the
cores are shared. While a sync runs, GET /live is asked every 10 ms over one connection and over new ones in turn.

A round is syncs with nobody else, the same beside the same clients that are connected to the sink, and the same while
they are connected to the daemon: what the third takes beyond the second is the daemon's own share.
"""

import json
import os
import select
import socket
import statistics
import subprocess
import sys
import threading
import time

EACH = 500
# Syncs go on for so long after the clients have connected: well before the first of them is told to go, after 10 s.
WINDOW_SECONDS = 7.5
SYNCS_MAX = 7
TURNS = 100
TICK = 1 / os.sysconf("SC_CLK_TCK")


def connect(port: int, buffer: int | None = None) -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect(("127.0.0.1", port))
    return client


def sink() -> None:
    os.nice(10)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listener.getsockname()[1], flush=True)
    kept = []
    while True:
        kept.append(listener.accept()[0])


class Clients:
    """Keeps itself slow until the last is gone or standard input ends; tells how many are left when asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.epoll = select.epoll()
        self.start = time.monotonic()
        self.gone = {"head": 0.0, "body": 0.0}
        self.slow: dict[int, tuple[socket.socket, str]] = {}
        self.deaf: list[socket.socket] = []
        self.sent = 0
        for _ in range(EACH):
            self.add("head", "GET /live HTTP/1.1\r\nHost: lo")
            self.add("body", "POST /api/etl/sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     "Content-Length: 60000\r\n\r\n{")
            deaf = connect(port, buffer=4096)
            deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
            self.deaf.append(deaf)

    def add(self, kind: str, text: str) -> None:
        client = connect(self.port)
        client.sendall(text.encode())
        client.setblocking(False)
        self.slow[client.fileno()] = (client, kind)
        self.epoll.register(client, select.EPOLLIN | select.EPOLLRDHUP)

    def run(self) -> None:
        os.nice(10)
        turn, began = 0, time.monotonic()
        print("connected", flush=True)
        threading.Thread(target=self.answer, daemon=True).start()
        order = list(self.slow)
        while True:
            due = began + turn / TURNS
            for number, _ in self.epoll.poll(max(0.0, due - time.monotonic())):
                try:
                    ended = not self.slow[number][0].recv(4096)
                except ConnectionError:
                    ended = True
                if ended:
                    self.drop(number)
            if time.monotonic() < due:
                continue
            for number in order[turn % TURNS::TURNS]:
                if number in self.slow:
                    try:
                        self.slow[number][0].send(b"a")
                        self.sent += 1
                    except OSError:
                        self.drop(number)
            turn += 1

    def drop(self, number: int) -> None:
        client, kind = self.slow.pop(number)
        self.gone[kind] = time.monotonic() - self.start
        self.epoll.unregister(client)
        client.close()

    def answer(self) -> None:
        for _ in sys.stdin:
            state = {"left": len(self.slow), "gone": self.gone, "sent": self.sent, "age": time.monotonic() - self.start}
            print(json.dumps(state), flush=True)
        os._exit(0)


class ClientProcess:
    def __init__(self, port: int) -> None:
        self.start = time.monotonic()
        self.process = subprocess.Popen([sys.executable, __file__, "clients", str(port)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "connected\n"

    def state(self) -> dict:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


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


class Rig:
    def __init__(self, port: int, daemon: int, cart: str) -> None:
        self.port, self.daemon, self.cart = port, daemon, cart

    def resident(self) -> float:
        with open(f"/proc/{self.daemon}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))

    def cpu(self) -> float:
        """Seconds that the daemon has used."""
        with open(f"/proc/{self.daemon}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * TICK

    def settle(self) -> None:
        """Until the daemon has done with what came; what stands from then on costs it next to nothing, or is a fault."""
        end = time.monotonic() + 3
        while time.monotonic() < end:
            before = self.cpu()
            time.sleep(0.3)
            if self.cpu() - before <= 2 * TICK:
                return

    def sync(self) -> tuple[float, "Probe"]:
        subprocess.run(["psql", "-X", "-q", "-d", self.cart, "-c", "TRUNCATE product", "-c", "CHECKPOINT"], check=True)
        client = connect(self.port)
        probe = Probe(self)
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

    def wait_until_alone(self, start: float) -> float:
        """Until the daemon counts no connection but the one that asks; returns when that was."""
        probe = connect(self.port)
        while time.monotonic() - start < 120:
            page = exchange(probe, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").decode()
            count = next(line.split()[1] for line in page.split("\n") if line.startswith("http_connections "))
            if float(count) <= 1:
                probe.close()
                return time.monotonic() - start
            time.sleep(0.5)
        raise TimeoutError(f"{count} connections are left after 120 s")


class Probe(threading.Thread):
    """Asks GET /live every 10 ms and remembers how long each answer took."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(daemon=True)
        self.rig = rig
        self.took: list[float] = []
        self.peak = 0.0
        self.over = False

    def run(self) -> None:
        kept = connect(self.rig.port)
        number = 0
        while not self.over:
            number += 1
            before = time.monotonic()
            client = kept if number % 2 else connect(self.rig.port)
            answer = exchange(client, "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.took.append(time.monotonic() - before)
            if client is not kept:
                client.close()
            if b" 200 " not in answer.split(b"\n")[0]:
                raise RuntimeError(answer)
            if number % 10 == 0:
                self.peak = max(self.peak, self.rig.resident())
            time.sleep(0.01)


class Measured:
    """What syncs of one kind gave over all rounds."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.probes: list[float] = []
        self.peak = 0.0

    def run(self, rig: Rig, end: float, hold: ClientProcess | None = None) -> None:
        """Syncs until `end`, at least one; those during which a client left do not count."""
        for number in range(SYNCS_MAX):
            if number and time.monotonic() + max(self.took[-1:], default=1) > end:
                return
            took, probe = rig.sync()
            if hold and (left := hold.state()["left"]) < 2 * EACH:
                print(f"a sync of {took:.2f} s is left out: {2 * EACH - left} slow clients were gone", file=sys.stderr)
                return
            self.took.append(took)
            self.probes += probe.took
            self.peak = max(self.peak, probe.peak)

    @property
    def median(self) -> float:
        return statistics.median(self.took)

    @property
    def late(self) -> float:
        return sorted(self.probes)[max(0, int(len(self.probes) * 0.99) - 1)] * 1000


def main(rig: Rig, rounds: int) -> None:
    rig.sync()  # Warms both sides up.
    alone, beside, attacked = Measured(), Measured(), Measured()
    growths, arrivals, standing, last = [], [], [], {}
    for number in range(rounds):
        alone.run(rig, time.monotonic() + WINDOW_SECONDS / 2)
        bottom = subprocess.Popen([sys.executable, __file__, "sink"], text=True, stdout=subprocess.PIPE)
        clients = ClientProcess(int(bottom.stdout.readline()))
        time.sleep(1)
        beside.run(rig, clients.start + WINDOW_SECONDS, clients)
        clients.end()
        bottom.kill()
        bottom.wait()

        before, spent = max(alone.peak, beside.peak, rig.resident()), rig.cpu()
        clients = ClientProcess(rig.port)
        rig.settle()
        arrivals.append(rig.cpu() - spent)
        spent, sent, since = rig.cpu(), clients.state()["sent"], time.monotonic()
        time.sleep(1)
        seconds = time.monotonic() - since
        standing.append(((rig.cpu() - spent) / seconds, (clients.state()["sent"] - sent) / seconds))
        waiting = rig.resident()
        attacked.run(rig, clients.start + WINDOW_SECONDS, clients)
        growths.append(max(waiting, attacked.peak, rig.resident()) - before)
        last["deaf"] = max(last.get("deaf", 0), rig.wait_until_alone(clients.start))
        for kind, moment in clients.state()["gone"].items():
            last[kind] = max(last.get(kind, 0), moment)
        clients.end()
        print(f"round {number + 1}: alone {alone.median:.3f} s, sink {beside.median:.3f} s, attacked {attacked.median:.3f} s "
              f"by now; memory {growths[-1]:+.1f} MiB", file=sys.stderr)

    def more(one: Measured, other: Measured) -> str:
        return f"{one.median / other.median * 100 - 100:+.1f} %"

    print(f"GET /live during a sync, p99     {alone.late:.1f} ms alone, {beside.late:.1f} ms beside the sink's clients, "
          f"{attacked.late:.1f} ms attacked ({len(attacked.probes)} asked)")
    print(f"sync, medians of {len(alone.took)}, {len(beside.took)}, {len(attacked.took)}    {alone.median:.3f} s alone, "
          f"{beside.median:.3f} s beside the sink's clients, {attacked.median:.3f} s attacked")
    print(f"attacked beside alone            {more(attacked, alone)}, of that by the clients themselves {more(beside, alone)}, "
          f"by the daemon {more(attacked, beside)}")
    print(f"the daemon's CPU for them        {statistics.median(arrivals) * 1000:.0f} ms when they came, "
          f"{statistics.median(cpu for cpu, _ in standing) * 1000:.0f} ms a second while they stood "
          f"({statistics.median(rate for _, rate in standing):.0f} bytes a second)")
    print(f"memory for {3 * EACH} clients          {max(growths):+.1f} MiB at most")
    print(f"the last was gone after          heads {last['head']:.1f} s, bodies {last['body']:.1f} s, deaf {last['deaf']:.1f} s")


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        sink()
    elif sys.argv[1] == "clients":
        Clients(int(sys.argv[2])).run()
    else:
        main(Rig(int(sys.argv[1]), int(sys.argv[2]), sys.argv[4]), int(sys.argv[3]))
