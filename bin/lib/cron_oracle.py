"""Answers where cron expressions fire, with libraries that are not ours; CronTests compares.

Reads a file of lines `expression<TAB>zone<TAB>start in epoch seconds<TAB>fires wanted`, writes one line for each:

    next fires<TAB>previous fire<TAB>croniter's word on the next fires

as epoch seconds with spaces between. `never` stands for an expression that cronsim refuses or that has no fire within
fifty years. The last column is `-` where croniter was not asked (it is slow: every EVERY-th line) or is known to be
wrong.

    cron_oracle.py FILE [EVERY]
"""

import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterUnsupportedSyntaxError, croniter
from cronsim import CronSim, CronSimError

QUIET = timedelta(days=2)


# Two zones in which cronsim 2.8 errs at a change when a job follows the clock: it gives midnights that Santiago skips,
# and misses hours in Lord Howe, where the clock moves by half an hour.
MISJUDGED = {"America/Santiago", "Australia/Lord_Howe"}


def fires(expression: str, start: datetime, zone: ZoneInfo, count: int, reverse: bool) -> str:
    minute, hour, *_ = expression.split()
    try:
        if zone.key in MISJUDGED and (minute[0] == "*" or hour[0] == "*"):
            iterator = stretch_by_stretch(expression, start, zone, reverse)
        else:
            iterator = CronSim(expression, start, reverse=reverse)
        found = [str(int(fire.timestamp())) for fire in islice(iterator, count)]
    except CronSimError:
        return "never"
    return " ".join(found) or "never"


def stretch_by_stretch(expression: str, start: datetime, zone: ZoneInfo, reverse: bool) -> Iterator[datetime]:
    """cronsim's fires with a fixed offset, from one change of the clock to the next."""
    at = int(start.timestamp())
    for begin, end, offset in reversed(stretches(zone)) if reverse else stretches(zone):
        if begin >= at if reverse else end <= at:
            continue
        first = min(at, end) if reverse else max(at, begin - 1)
        for fire in CronSim(expression, datetime.fromtimestamp(first, timezone(offset)), reverse=reverse):
            if fire.timestamp() < begin if reverse else fire.timestamp() >= end:
                break
            yield fire
        else:
            return


@cache
def stretches(zone: ZoneInfo) -> list[tuple[int, int, timedelta]]:
    """Where the offset stays the same, 1970 to 2100, as epoch seconds."""

    def offset(instant: int) -> timedelta:
        return datetime.fromtimestamp(instant, zone).utcoffset()

    begin, day, found = 0, 86_400, []
    for noon in range(0, 130 * 366 * day, day):
        before, after = noon, noon + day
        if offset(before) == offset(after):
            continue
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if offset(middle) == offset(before) else (before, middle)
        found.append((begin, after, offset(before)))
        begin = after
    return [*found, (begin, sys.maxsize, offset(begin))]


def quiet(instant: float, zone: ZoneInfo) -> bool:
    """No change of the clock near."""
    at = datetime.fromtimestamp(instant, timezone.utc)
    return (at - QUIET).astimezone(zone).utcoffset() == (at + QUIET).astimezone(zone).utcoffset()


def second_opinion(expression: str, start: datetime, zone: ZoneInfo, primary: str) -> str:
    """croniter's next fires, where it is right."""
    parts = [part.split("/")[0] for field in expression.split() for part in field.split(",")]
    day, weekday = expression.split()[2], expression.split()[4]
    # It reads an `a-a` range as "every".
    misread = any("-" in part and len(set(part.split("-"))) == 1 for part in parts)
    # It asks for both days where the weekday is the nth or the last of the month,
    # and where other weekdays stand beside it.
    misread = misread or (("#" in weekday or "L" in weekday) and (day[0] != "*" or "," in weekday))
    # Its `a/n` in the weekday ends on Saturday; Debian's and cronsim's on the second Sunday, 7.
    misread = misread or any("/" in part and part[0] != "*" and "-" not in part for part in weekday.split(","))
    # It takes a list of all the days for `*`, which is not the same where the other day is given.
    if primary == "never" or misread:
        return "-"
    sets = CronSim(expression, start)
    weekdays = {item % 7 for item in sets.weekdays if isinstance(item, int)}
    if (len(sets.days) >= 31 and day[0] != "*") or (len(weekdays) == 7 and weekday[0] != "*"):
        return "-"
    known = [int(fire) for fire in primary.split()]
    # Near a change of the clock it fires a fixed-time job twice and has its own idea of gaps.
    if not all(quiet(instant, zone) for instant in [start.timestamp(), *known]):
        return "-"
    try:
        # It writes the last Friday as L5.
        iterator = croniter(re.sub(r"\b(\d)L\b", r"L\1", expression), start, implement_cron_bug=True)
    except CroniterUnsupportedSyntaxError:
        # Weekdays and nth weekdays in one list.
        return "-"
    try:
        found = [int(iterator.get_next(float)) for _ in known]
    except CroniterBadDateError:
        return "never"
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
