"""Writes a shop in both source schemas as SQL for psql: skewed, with ties at midnight, nulls, guests and planted data.

    analytics_shop.py SEED ZONE FIRST_DAY DAYS TOKEN_KEY > shop.sql

The same seed gives the same shop. Both schemas hold the same facts; v2 carries the token of each v1 identifier.
"""
import datetime
import hashlib
import hmac
import random
import sys
import zoneinfo

SEED, ZONE, FIRST, DAYS, KEY = sys.argv[1:6]
RANDOM = random.Random(int(SEED))
TZ = zoneinfo.ZoneInfo(ZONE)
UTC = datetime.timezone.utc
FIRST = datetime.date.fromisoformat(FIRST)
DAYS = int(DAYS)


def token(identifier):
    code = hmac.new(KEY.encode(), str(identifier).encode(), hashlib.sha256).hexdigest()
    return f"usr_1_{code}"


def instant(first=0, last=None):
    """An instant of the days; one in eight lies exactly on, or one microsecond before, a midnight of the zone."""
    day = FIRST + datetime.timedelta(days=RANDOM.randrange(first, DAYS if last is None else last))
    start = datetime.datetime(day.year, day.month, day.day, tzinfo=TZ).astimezone(UTC)
    draw = RANDOM.random()
    if draw < 0.08:
        return start
    if draw < 0.12:
        return start - datetime.timedelta(microseconds=1)
    if draw < 0.18:
        return start + datetime.timedelta(hours=RANDOM.choice([1, 2, 3]), minutes=RANDOM.choice([0, 30]))
    following = day + datetime.timedelta(days=1)
    end = datetime.datetime(following.year, following.month, following.day, tzinfo=TZ).astimezone(UTC)
    # The 25th hour where clocks are put back; where they are put forward, an hour of the day behind.
    length = max(end - start, datetime.timedelta(days=1))
    return start + datetime.timedelta(microseconds=RANDOM.randrange(length // datetime.timedelta(microseconds=1)))


def maybe(share, value):
    return None if RANDOM.random() < share else value


def money(low, high):
    return f"{RANDOM.randrange(low, high) / 100:.2f}"


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, datetime.datetime):
        return f"'{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def insert(table, columns, rows):
    for start in range(0, len(rows), 500):
        values = ",\n".join("(" + ",".join(literal(cell) for cell in row) + ")" for row in rows[start:start + 500])
        print(f"INSERT INTO {table} ({columns}) VALUES\n{values};")


print("""
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text, phone text, status text, subscription_type text,
    email_verified boolean, last_login_at timestamptz, created_at timestamptz);
CREATE TABLE users_v2 (user_token text PRIMARY KEY, created_at timestamptz, status text, subscription_tier text,
    email_verified_at timestamptz, last_activity_at timestamptz, country_code text, signup_source text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, customer_email text, customer_name text,
    shipping_address text, created_at timestamptz, status text, total_amount numeric(12,2));
CREATE TABLE orders_v2 (id bigint PRIMARY KEY, user_token text, created_at timestamptz, status text,
    total_amount numeric(12,2));
CREATE TABLE order_items (order_id bigint, product_id text, quantity int, unit_price numeric(12,2));
CREATE TABLE order_items_v2 (LIKE order_items);
CREATE TABLE payments (id bigint PRIMARY KEY, user_id bigint, card_holder text, billing_address text,
    created_at timestamptz, payment_method text, amount numeric(12,2), status text, processing_time_ms int,
    failure_reason text, billing_country text, ip_country text);
CREATE TABLE payments_v2 (id bigint PRIMARY KEY, user_token text, created_at timestamptz, payment_method text,
    amount numeric(12,2), status text, processing_time_ms int, failure_reason text, billing_country text,
    ip_country text);
CREATE TABLE notifications (id bigint PRIMARY KEY, recipient text, sent_at timestamptz, channel text,
    notification_type text, delivered_at timestamptz, opened_at timestamptz, clicked_at timestamptz,
    bounced_at timestamptz, failed_at timestamptz, body text);
CREATE TABLE notifications_v2 (id bigint PRIMARY KEY, sent_at timestamptz, channel text, notification_type text,
    delivered_at timestamptz, opened_at timestamptz, clicked_at timestamptz, bounced_at timestamptz,
    failed_at timestamptz);
""")

users = []
for number in range(1, 401):
    created = maybe(0.02, instant(-60))
    seen = maybe(0.2, instant(-60))
    users.append((number, created, RANDOM.choice(["active", "member1234567", "blocked", "John Doe, Main Street 5", None]),
                  RANDOM.choice(["premium", "Premium", "free", "basic", None]), maybe(0.4, instant(-60)), seen))
insert("users", "id, email, name, phone, status, subscription_type, email_verified, last_login_at, created_at", [
    (n, f"planted.{n}@example.org", f"Planted Person{n}", f"+49 151 {20000000 + n}", status, tier,
     verified is not None, seen, created) for n, created, status, tier, verified, seen in users])
insert("users_v2", "user_token, created_at, status, subscription_tier, email_verified_at, last_activity_at", [
    (token(n), created, status, tier, verified, seen) for n, created, status, tier, verified, seen in users])


def buyer():
    """Few buy much: a quarter of all orders come from ten users; some come from guests and from users deleted since."""
    draw = RANDOM.random()
    return None if draw < 0.05 else RANDOM.randrange(1, 11) if draw < 0.3 else RANDOM.randrange(1, 421)


STATUSES = ["completed"] * 10 + ["pending"] * 3 + ["cancelled"] * 2 + ["refunded", None, "call Jane on +1 555 010 9999"]
orders = [(n, buyer(), instant(-40), RANDOM.choice(STATUSES), maybe(0.03, money(100, 90_000)))
          for n in range(1, 2_501)]
insert("orders", "id, user_id, customer_email, customer_name, shipping_address, created_at, status, total_amount", [
    (n, who, f"planted.{who}@example.org", f"Planted Person{who}", "Planted Lane 7", at, status, total)
    for n, who, at, status, total in orders])
insert("orders_v2", "id, user_token, created_at, status, total_amount", [
    (n, None if who is None else token(who), at, status, total) for n, who, at, status, total in orders])
items = [(n, RANDOM.choice(["p-1"] * 5 + [f"p-{int(RANDOM.paretovariate(0.8))}", "66f0aa11bb22cc33dd44ee55", "a b"]),
          maybe(0.02, RANDOM.randrange(1, 6)), maybe(0.02, money(99, 9_000)))
         for n, *_ in orders for _ in range(RANDOM.randrange(0, 4))]
for table in ("order_items", "order_items_v2"):
    insert(table, "order_id, product_id, quantity, unit_price", items)

payments = []
for n in range(1, 2_001):
    status = RANDOM.choice(["success"] * 7 + ["failed"] * 2 + ["pending", None])
    amount = maybe(0.02, money(100, 20_000) if RANDOM.random() < 0.97 else money(500_000, 2_000_000))
    payments.append((n, buyer(), instant(0), RANDOM.choice(["credit_card"] * 4 + [
        "paypal", "bank_transfer", None, "4111 1111 1111 1111"]), amount, status, maybe(0.1, RANDOM.randrange(20, 9_000)),
        RANDOM.choice(["insufficient_funds", "expired_card", None, "card of Planted Person7"]) if status == "failed"
        else None, maybe(0.1, RANDOM.choice(["DE", "de", "FR", "US"])), maybe(0.1, RANDOM.choice(["DE", "DE", "FR"]))))
for burst in range(12):
    begin = instant(0)
    for step in range(RANDOM.randrange(3, 9)):
        # Steps of 20 minutes: the fourth payment lies exactly one hour behind the first.
        payments.append((len(payments) + 1, 500 + burst % 5, begin + datetime.timedelta(minutes=20 * step), "paypal",
                         money(100, 5_000), "failed" if step % 2 else "success", 50, "velocity" if step % 2 else None,
                         "DE", "DE"))
insert("payments", "id, user_id, card_holder, billing_address, created_at, payment_method, amount, status,"
       " processing_time_ms, failure_reason, billing_country, ip_country", [
           (n, who, f"Planted Person{who}", "Planted Lane 7", *rest) for n, who, *rest in payments])
insert("payments_v2", "id, user_token, created_at, payment_method, amount, status, processing_time_ms,"
       " failure_reason, billing_country, ip_country", [
           (n, None if who is None else token(who), *rest) for n, who, *rest in payments])

notes = []
for n in range(1, 2_501):
    sent = instant(0)
    delivered = maybe(0.15, sent + datetime.timedelta(seconds=5))
    opened = maybe(0.6, delivered)
    notes.append((n, sent, RANDOM.choice(["email", "email", "sms", "push", None]),
                  RANDOM.choice(["welcome", "offer", "planted.3@example.org", None]), delivered, opened,
                  maybe(0.7, opened), maybe(0.9, sent), maybe(0.95, sent)))
insert("notifications", "id, recipient, sent_at, channel, notification_type, delivered_at, opened_at, clicked_at,"
       " bounced_at, failed_at, body", [
           (n, f"planted.{n}@example.org", *rest, "Dear Planted Person") for n, *rest in notes])
insert("notifications_v2", "id, sent_at, channel, notification_type, delivered_at, opened_at, clicked_at, bounced_at,"
       " failed_at", notes)
print("""
CREATE INDEX ON users (created_at); CREATE INDEX ON users (last_login_at);
CREATE INDEX ON users_v2 (created_at); CREATE INDEX ON users_v2 (last_activity_at);
CREATE INDEX ON orders (created_at); CREATE INDEX ON orders_v2 (created_at);
CREATE INDEX ON order_items (order_id); CREATE INDEX ON order_items_v2 (order_id);
CREATE INDEX ON payments (created_at); CREATE INDEX ON payments_v2 (created_at);
CREATE INDEX ON notifications (sent_at); CREATE INDEX ON notifications_v2 (sent_at);
ANALYZE;
""")
