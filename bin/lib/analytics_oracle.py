"""Computes every measure from CSV dumps of the source, in plain Python, and prints what the warehouse must hold.

    analytics_oracle.py FOLDER ZONE FIRST_DAY LAST_DAY CHURN_DAYS SCHEMA LEGACY TOKEN_KEY

One line a row: the table, then the columns in the table's order, cut by "|", as psql prints them unaligned.
"""
import collections
import csv
import datetime
import fractions
import hashlib
import hmac
import pathlib
import string
import sys
import zoneinfo
from decimal import Decimal

FOLDER, ZONE, FIRST, LAST, CHURN, SCHEMA, LEGACY, KEY = sys.argv[1:9]
TZ, CHURN = zoneinfo.ZoneInfo(ZONE), int(CHURN)
UTC = datetime.timezone.utc
DAY = datetime.timedelta(days=1)


def when(text):
    """An instant; an infinite one is none."""
    if text in ("infinity", "-infinity"):
        return None
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


def person_of(value):
    """A token as it stands; what stands in a token's place and is none becomes one."""
    prefix, _, rest = value.partition("_")
    version, _, code = rest.partition("_")
    numbered = version.isascii() and version.isdigit() and 0 < int(version) < 10_000 and str(int(version)) == version
    if prefix == "usr" and numbered and len(code) == 64 and set(code) <= set("0123456789abcdef"):
        return value
    return "usr_1_" + hmac.new(KEY.encode(), value.strip().encode(), hashlib.sha256).hexdigest()


def read(name, times, numbers=()):
    rows = []
    with open(pathlib.Path(FOLDER) / f"{name}.csv", newline="") as file:
        for row in csv.DictReader(file):
            # psql writes NULL as \N, so that an empty text stays one.
            row = {key: None if value == "\\N" else value for key, value in row.items()}
            for column in times:
                row[column] = when(row[column])
            for column in numbers:
                row[column] = None if row[column] is None else Decimal(row[column])
            if SCHEMA == "v1" and row.get("person") is not None:
                code = hmac.new(KEY.encode(), row["person"].encode(), hashlib.sha256).hexdigest()
                row["person"] = f"usr_1_{code}"
            elif row.get("person") is not None:
                row["person"] = person_of(row["person"])
            rows.append(row)
    return rows


USERS = read("users", ["created_at", "seen_at"])
ORDERS = read("orders", ["created_at"], ["total_amount"])
ITEMS = read("items", [], ["quantity", "unit_price"])
PAYMENTS = read("payments", ["created_at"], ["amount", "processing_time_ms"])
NOTES = read("notes", ["sent_at", "delivered_at", "opened_at", "clicked_at", "bounced_at", "failed_at"])


def start(day):
    return datetime.datetime(day.year, day.month, day.day, tzinfo=TZ).astimezone(UTC)


def local(at):
    return at.astimezone(TZ).date()


def rounded(value, places):
    """Half away from zero, of an exact fraction."""
    scaled = abs(fractions.Fraction(value)) * 10 ** places
    whole = (scaled + fractions.Fraction(1, 2)).__floor__()
    sign = "-" if value < 0 and whole else ""
    digits = str(whole).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def share(part, whole):
    return rounded(fractions.Fraction(100 * part, whole), 2) if whole else "0.00"


def total(values):
    values = [value for value in values if value is not None]
    return sum(values, Decimal("0.00"))


def word(text):
    if text is None:
        return "unknown"
    letters, digits, longest, run = string.ascii_letters, string.digits, 0, 0
    for character in text:
        run = run + 1 if character in digits else 0
        longest = max(longest, run)
    plain = (1 <= len(text) <= 40 and text[0] in letters and set(text) <= set(letters + digits + "_.+-")
             and longest < 6)
    return text if plain else "other"


def put(table, *cells):
    shown = ["" if cell is None else ("t" if cell else "f") if isinstance(cell, bool) else str(cell) for cell in cells]
    print("|".join([table] + shown))


def within(rows, column, begin, end):
    return [row for row in rows if row[column] is not None and begin <= row[column] < end]


def grouped(rows, *columns):
    groups = collections.defaultdict(list)
    for row in rows:
        groups[tuple(word(row[column]) for column in columns)].append(row)
    return groups


def users_of(day, begin, end):
    signups = within(USERS, "created_at", begin, end)
    if signups:
        put("public.user_analytics", day, len(signups), sum(row["verified"] == "t" for row in signups),
            sum((row["tier"] or "").lower() == "premium" for row in signups))
    seen = {}
    for rows, column in ((ORDERS, "created_at"), (USERS, "seen_at"), (USERS, "created_at")):
        for row in within(rows, column, start(day - 29 * DAY), end):
            if row["person"] is not None:
                seen[row["person"]] = max(seen.get(row["person"], row[column]), row[column])
    if seen:
        daily = sum(at >= begin for at in seen.values())
        weekly = sum(at >= start(day - 6 * DAY) for at in seen.values())
        put("analytics.activity_daily", day, daily, weekly, len(seen), share(daily, len(seen)))
    old, new = start(day - CHURN * DAY), start(day - (CHURN - 1) * DAY)
    last = [row["seen_at"] or row["created_at"] for row in USERS
            if row["created_at"] is not None and row["created_at"] < end]
    staying = [at for at in last if at >= old]
    if staying:
        gone = sum(at < new for at in staying)
        put("analytics.churn_daily", day, len(staying), gone, share(gone, len(staying)))
    retention(day, end)
    funnel(day, signups, begin, end)


def retention(day, end):
    week = start(day - 6 * DAY)
    ordered = {row["person"] for row in within(ORDERS, "created_at", week, end)} - {None}
    monday = day - day.weekday() * DAY
    cohorts = collections.defaultdict(list)
    for row in within(USERS, "created_at", start(monday - 26 * 7 * DAY), end):
        signup = local(row["created_at"])
        cohorts[signup - signup.weekday() * DAY].append(row)
    for cohort, rows in cohorts.items():
        active = sum(row["person"] in ordered or (row["seen_at"] is not None and week <= row["seen_at"] < end)
                     for row in rows)
        put("analytics.cohort_retention", day, cohort, (day - cohort).days // 7, len(rows), active,
            share(active, len(rows)))


def funnel(day, signups, begin, end):
    if not signups:
        return
    ordered = {row["person"] for row in within(ORDERS, "created_at", begin, end)} - {None}
    verified = [row for row in signups if row["verified"] == "t"]
    steps = [("registered", len(signups)), ("verified", len(verified)),
             ("ordered", sum(row["person"] in ordered for row in verified))]
    for number, (step, users) in enumerate(steps, 1):
        put("analytics.engagement_funnel", day, "signup", number, step, users, share(users, len(signups)))


def orders_of(day, begin, end):
    orders = within(ORDERS, "created_at", begin, end)
    for (status,), rows in grouped(orders, "status").items():
        priced = [row["total_amount"] for row in rows if row["total_amount"] is not None]
        mean = rounded(fractions.Fraction(total(priced)) / len(priced), 2) if priced else "0.00"
        put("public.order_analytics", day, status, len(rows), total(priced), mean)
    if orders:
        count = collections.Counter(row["status"] for row in orders)
        refunded = total(row["total_amount"] for row in orders if row["status"] == "refunded")
        put("analytics.order_outcomes", day, len(orders), count["completed"], count["cancelled"], count["refunded"],
            share(count["cancelled"], len(orders)), share(count["refunded"], len(orders)), refunded)
    kept = {row["id"] for row in orders if row["status"] != "cancelled"}
    sold = collections.defaultdict(list)
    for item in ITEMS:
        if item["order_id"] in kept:
            name = item["product_id"] or ""
            plain = 1 <= len(name) <= 64 and set(name) <= set(string.ascii_letters + string.digits + "_.:-")
            sold[name if plain else "other"].append(item)
    rows = []
    for product, items in sold.items():
        revenue = total(item["quantity"] * item["unit_price"] for item in items
                        if item["quantity"] is not None and item["unit_price"] is not None)
        pieces = int(total(item["quantity"] for item in items))
        rows.append((-revenue, product.encode(), product, len({item["order_id"] for item in items}), pieces, revenue))
    for rank, (_, _, product, count, pieces, revenue) in enumerate(sorted(rows), 1):
        put("analytics.product_daily", day, product, count, pieces, revenue, rank)


def payments_of(day, begin, end):
    payments = within(PAYMENTS, "created_at", begin, end)
    for (method,), rows in grouped(payments, "payment_method").items():
        good = [row for row in rows if row["status"] == "success"]
        times = [row["processing_time_ms"] for row in good if row["processing_time_ms"] is not None]
        mean = rounded(fractions.Fraction(sum(times)) / len(times), 2) if times else "0.00"
        put("public.payment_analytics", day, method, len(rows), total(row["amount"] for row in rows), len(good),
            sum(row["status"] == "failed" for row in rows), share(len(good), len(rows)), mean)
    failed = [row for row in payments if row["status"] == "failed"]
    for (method, reason), rows in grouped(failed, "payment_method", "failure_reason").items():
        put("analytics.payment_failures", day, method, reason, len(rows), total(row["amount"] for row in rows),
            share(len(rows), len(failed)))
    if payments:
        fraud(day, payments)


def lower_median(values):
    values = sorted(values)
    return values[(len(values) - 1) // 2] if values else None


def fraud(day, payments):
    amounts = [row["amount"] for row in payments if row["amount"] is not None]
    median = lower_median(amounts)
    deviation = lower_median([abs(amount - median) for amount in amounts])

    def score(row):
        if row["amount"] is None or not deviation:
            return None
        exact = fractions.Fraction(6745, 10000) * fractions.Fraction(abs(row["amount"] - median))
        return Decimal(rounded(exact / fractions.Fraction(deviation), 4))

    def mismatch(row):
        billed, paid = row["billing_country"], row["ip_country"]
        return billed is not None and paid is not None and billed.upper() != paid.upper()

    scores = {row["id"]: score(row) for row in payments}

    def strange(rows):
        values = [scores[row["id"]] for row in rows if scores[row["id"]] is not None]
        return sum(value > Decimal("3.5") for value in values), max(values, default=Decimal("0.0000"))

    outliers, worst = strange(payments)
    put("analytics.fraud_daily", day, len(payments), median, deviation, outliers, worst,
        sum(mismatch(row) for row in payments))
    persons = collections.defaultdict(list)
    for row in payments:
        if row["person"] is not None:
            persons[row["person"]].append(row)
    for person, rows in persons.items():
        hour = datetime.timedelta(hours=1)
        fastest = max(sum(row["created_at"] - hour <= other["created_at"] <= row["created_at"] for other in rows)
                      for row in rows)
        failed = sum(row["status"] == "failed" for row in rows)
        outliers, worst = strange(rows)
        crossed = sum(mismatch(row) for row in rows)
        risk = min(100, 10 * max(0, fastest - 4) + 15 * outliers + 10 * max(0, failed - 2) + 20 * crossed)
        if risk > 0:
            put("analytics.fraud_signals", day, person, len(rows), fastest, failed, outliers, worst, crossed, risk)


def notes_of(day, begin, end):
    notes = within(NOTES, "sent_at", begin, end)
    for table, columns in (("public.notification_analytics", ("channel", "notification_type")),
                           ("public.channel_analytics", ("channel",))):
        for key, rows in grouped(notes, *columns).items():
            sent, delivered, opened, clicked, bounced, failed = [len(rows)] + [
                sum(row[column] is not None for row in rows)
                for column in ("delivered_at", "opened_at", "clicked_at", "bounced_at", "failed_at")]
            put(table, day, *key, sent, delivered, opened, clicked, share(delivered, sent), share(opened, delivered),
                share(clicked, opened), share(clicked, sent), bounced, failed)


def snapshot(day):
    end, gone = start(day + DAY), start(day - (CHURN - 1) * DAY)
    for row in USERS:
        if row["created_at"] is None or row["created_at"] >= end:
            continue
        seen = row["seen_at"]
        days = None if seen is None else max(0, (day - local(seen)).days)
        legacy = [None] * 4
        if LEGACY == "true":
            legacy = [row["person"], word(row["status"]), word(row["tier"]), days]
        put("public.user_activity", row["person"], day, local(row["created_at"]), seen and local(seen), days,
            (seen or row["created_at"]) < gone, *legacy)


current, final = datetime.date.fromisoformat(FIRST), datetime.date.fromisoformat(LAST)
while current <= final:
    borders = start(current), start(current + DAY)
    for compute in (users_of, orders_of, payments_of, notes_of):
        compute(current, *borders)
    current += DAY
snapshot(final)
