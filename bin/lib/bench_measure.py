"""What the benches measure with, and the tables they print: wall and CPU seconds, peak memory, ratios of one run.

    bench_measure.py table RESULTS.json             prints the tables of a run
    bench_measure.py limit RESULTS.json WHO MIB [EXCEPT...]
                                                    fails when one whose name begins with WHO used more memory than that
                                                    in a round, in work that does not begin with EXCEPT
    bench_measure.py put FILE NAME < TEXT           puts TEXT between the markers of that NAME in a Markdown file

A result is a line of JSON: work, who, rows, and for each round seconds, cpu and rss (MiB), besides the yardstick (the
`who` that ratios of that work are taken against) and a note. A ratio is the median of the rounds' own ratios, since what
else the machine does falls on a whole round.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time


def run(commands, env=None):
    """Starts all commands at once and waits for the last: seconds, their CPU seconds, the largest resident set."""
    logs = [tempfile.TemporaryFile() for _ in commands]
    start = time.monotonic()
    children = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env)
        for command, log in zip(commands, logs)
    ]
    cpu, rss, failed = 0.0, 0.0, None
    for child, log, command in zip(children, logs, commands):
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        cpu += used.ru_utime + used.ru_stime
        rss = max(rss, used.ru_maxrss / 1024)
        if child.returncode:
            log.seek(0)
            failed = f"{os.path.basename(command[0])} ended with {child.returncode}:\n{log.read().decode(errors='replace')[-3000:]}"
    seconds = time.monotonic() - start
    for log in logs:
        log.seek(0)
    output = [log.read().decode(errors="replace") for log in logs]
    if failed:
        raise RuntimeError(failed)
    return {"seconds": seconds, "cpu": cpu, "rss": rss, "output": output}


class Results:
    """Collects rounds and writes them down as they come, so that a run that was cut short still tells."""

    def __init__(self, path):
        self.path, self.lines = path, []
        self.write()

    def add(self, work, who, rows, measured, yardstick=None, note=""):
        line = next((one for one in self.lines if (one["work"], one["who"]) == (work, who)), None)
        if line is None:
            line = {"work": work, "who": who, "rows": rows, "yardstick": yardstick, "note": note,
                    "seconds": [], "cpu": [], "rss": []}
            self.lines.append(line)
        if measured:
            for name in ("seconds", "cpu", "rss"):
                line[name].append(measured[name])
            print(f"{work:<28} {who:<34} {measured['seconds']:8.2f} s  cpu {measured['cpu']:7.2f} s "
                  f"{measured['rss']:6.0f} MiB", file=sys.stderr, flush=True)
        self.write()

    def write(self):
        with open(self.path, "w", encoding="utf-8") as file:
            for one in self.lines:
                file.write(json.dumps(one) + "\n")


def ratio(line, base):
    """The median of the rounds' ratios; where one side has fewer rounds, the ratio of the medians."""
    if not line["seconds"] or not base or not base["seconds"]:
        return None
    if len(line["seconds"]) == len(base["seconds"]):
        return statistics.median(mine / limit for mine, limit in zip(line["seconds"], base["seconds"]))
    return statistics.median(line["seconds"]) / statistics.median(base["seconds"])


def number(value):
    return "" if value is None else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def tables(lines):
    """Markdown: one table for each piece of work, in the order in which they were measured."""
    out = []
    for work in dict.fromkeys(line["work"] for line in lines):
        rows = [line for line in lines if line["work"] == work]
        yardstick = next((line["yardstick"] for line in rows if line["yardstick"]), None)
        base = next((line for line in rows if line["who"] == yardstick), None)
        out += [f"**{work}**", "",
                "| × yardstick | Who | Seconds | Least to most | CPU seconds | Peak MiB | Rows/s |",
                "|---|---|---|---|---|---|---|"]
        notes = []
        for line in rows:
            mark = ""
            if line["note"]:
                notes += [line["note"]] if line["note"] not in notes else []
                mark = f" ({notes.index(line['note']) + 1})"
            if not line["seconds"]:
                out.append(f"|  | {line['who']}{mark} |  |  |  |  |  |")
                continue
            median = statistics.median(line["seconds"])
            spread = f"{number(min(line['seconds']))} to {number(max(line['seconds']))}"
            out.append(
                f"| {number(ratio(line, base))} | {line['who']}{mark} | {number(median)} | {spread} "
                f"| {number(statistics.median(line['cpu']))} | {max(line['rss']):,.0f} "
                f"| {line['rows'] / median:,.0f} |")
        out += ["", *(f"({index}) {note}" + ("" if index == len(notes) else "  ")
                      for index, note in enumerate(notes, 1)), *([""] if notes else [])]
    return "\n".join(out).rstrip() + "\n"


def above(lines, who, limit, excepted=()):
    """What used more memory than the limit, a line each."""
    return [f"{line['work']}, {line['who']}: {max(line['rss']):,.1f} MiB, at most {limit:g} are promised"
            for line in lines
            if line["who"].startswith(who) and not line["work"].startswith(tuple(excepted))
            and line["rss"] and max(line["rss"]) > limit]


def put(document, name, text):
    """The document with `text` between the markers of `name`; they must stand in it, once and in order."""
    begin, end = f"<!-- bench {name} -->", f"<!-- /bench {name} -->"
    if document.count(begin) != 1 or document.count(end) != 1 or document.index(begin) > document.index(end):
        raise ValueError(f"the markers {begin} and {end} do not stand in the file once, in this order")
    head, rest = document.split(begin)
    return head + begin + "\n" + text.strip("\n") + "\n" + end + rest.split(end)[1]


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "table":
        with open(arguments[1], encoding="utf-8") as file:
            sys.stdout.write(tables([json.loads(line) for line in file]))
    elif len(arguments) >= 4 and arguments[0] == "limit":
        with open(arguments[1], encoding="utf-8") as file:
            found = above([json.loads(line) for line in file], arguments[2], float(arguments[3]), arguments[4:])
        if found:
            sys.exit("\n".join(found))
    elif len(arguments) == 3 and arguments[0] == "put":
        with open(arguments[1], encoding="utf-8") as file:
            document = put(file.read(), arguments[2], sys.stdin.read())
        with open(arguments[1], "w", encoding="utf-8") as file:
            file.write(document)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
