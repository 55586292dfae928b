"""Answers where cron expressions fire, with libraries that are not ours; CronTests compares.

Reads a file of lines `expression<TAB>zone<TAB>start in epoch seconds<TAB>fires wanted`, writes one line for each:

    next fires<TAB>previous fire<TAB>croniter's word on the next fires

as epoch seconds with spaces between. `never` stands for an expression that cronsim refuses or that has no fire within
fifty years. A fire is followed by `!` where cronsim gives a local time that the zone skips. The last column is `-`
where croniter was not asked (it is slow: every EVERY-th line) or is known to be wrong.

    cron_oracle.py FILE [EVERY]
"""

import sys
from datetime import datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim, CronSimError

QUIET = timedelta(days=2)


def epoch(fire: datetime, zone: ZoneInfo) -> str:
    """The instant, and a mark where the library gave a local time that does not exist."""
    instant = fire.astimezone(timezone.utc)
    imaginary = instant.astimezone(zone).replace(tzinfo=None) != fire.replace(tzinfo=None)
    return f"{int(fire.timestamp())}{'!' if imaginary else ''}"


def fires(expression: str, start: datetime, zone: ZoneInfo, count: int, reverse: bool) -> str:
    try:
        found = [epoch(fire, zone) for fire in islice(CronSim(expression, start, reverse=reverse), count)]
    except CronSimError:
        return "never"
    return " ".join(found) or "never"


def quiet(instant: float, zone: ZoneInfo) -> bool:
    """No change of the clock near."""
    at = datetime.fromtimestamp(instant, timezone.utc)
    return (at - QUIET).astimezone(zone).utcoffset() == (at + QUIET).astimezone(zone).utcoffset()


def second_opinion(expression: str, start: datetime, zone: ZoneInfo, primary: str) -> str:
    """croniter's next fires, where it is right: no clock changes, no `a-a` range (it reads "every")."""
    parts = [part.split("/")[0] for field in expression.split() for part in field.split(",")]
    if primary == "never" or any("-" in part and len(set(part.split("-"))) == 1 for part in parts):
        return "-"
    known = [int(fire.rstrip("!")) for fire in primary.split()]
    # Near a change of the clock it fires a fixed-time job twice and has its own idea of gaps.
    if not all(quiet(instant, zone) for instant in [start.timestamp(), *known]):
        return "-"
    iterator = croniter(expression, start, implement_cron_bug=True)
    found = [int(iterator.get_next(float)) for _ in known]
    return " ".join(map(str, found)) if all(quiet(instant, zone) for instant in found) else "-"


def main() -> None:
    every = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    zones: dict[str, ZoneInfo] = {}
    with open(sys.argv[1], encoding="utf-8") as lines:
        for index, line in enumerate(lines):
            expression, name, start, count = line.rstrip("\n").split("\t")
            zone = zones.setdefault(name, ZoneInfo(name))
            at = datetime.fromtimestamp(int(start), zone)
            following = fires(expression, at, zone, int(count), reverse=False)
            before = fires(expression, at, zone, 1, reverse=True)
            asked = every > 0 and index % every == 0
            second = second_opinion(expression, at, zone, following) if asked else "-"
            print(following, before, second, sep="\t")


main()
