"""The operator console in a real Chromium, one scenario a call: `console.py NAME`, or `console.py --list`.

Each scenario starts its own daemon and source, acts as an operator does, and looks at the database for the truth.
"""

import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request

from page import Page
from shop import KEY, Shop, history, wait_for

def sync():
    """Load, dry run, preview, confirm, the bar moves, the proof turns green; a second click does nothing twice."""
    with Shop(products=40_000) as shop, Page(shop.start()) as page:
        # A slow target, so that there is a while to watch on any machine: some 4,000 rows of at least 3 ms each.
        shop.psql("""CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_sleep(0.003); RETURN NULL; END'""")
        shop.psql("CREATE TRIGGER slow AFTER INSERT ON product FOR EACH ROW WHEN (hashtext(NEW.id) % 10 = 0)"
                  " EXECUTE FUNCTION slowly()")
        page.open().sees("Nothing is proved yet")
        assert "unknown" in page.find(".verdict").get_attribute("class")
        page.click("[data-act=dry-product_sync]")
        page.sees("The sides differ. Nothing was written.").sees("40,000")
        assert shop.psql("SELECT count(*) FROM product") == "0", "a dry run wrote"
        page.sees("What a run would change").sees("Missing: 40,000 (the first 100)")
        page.click("[data-act=confirm]")
        page.sees("40,000 rows will be inserted", "dialog")
        page.script("""const button = document.querySelector("[data-choice=run]"); button.click(); button.click();""")
        bars = set()
        wait_for("the bar moves", lambda: moved(page, bars))
        page.sees("40,000 rows written", seconds=240).sees("Proved by the servers' command tags")
        assert shop.psql("SELECT count(*) FROM product") == "40000"
        page.go("#/").sees("Nothing is wrong: both sides hold the same.")
        assert "ok" in page.find(".verdict").get_attribute("class").split()
        top = shop.run("top", "--once")
        assert "✓ Nothing is wrong: both sides hold the same." in top and "\x1b" not in top, top
        runs = shop.psql("SELECT count(*) FILTER (WHERE dry_run), count(*) FILTER (WHERE NOT dry_run) FROM etl.runs")
        assert runs == "1|1", f"runs: {runs}"
        # The preview is confirmed once, however often and in however many tabs.
        dry = shop.psql("SELECT id FROM etl.runs WHERE dry_run")
        page.go(f"#/run/{dry}").click("[data-act=confirm]")
        page.click("[data-choice=run]")
        page.sees("40,000 rows written")
        assert shop.psql("SELECT count(*) FROM etl.runs WHERE NOT dry_run") == "1", "confirmed twice, run twice"
        page.check_layout()
        page.check_clean()


def moved(page, seen):
    """Whether the bar was seen at two places, neither nothing nor all."""
    value = page.script("const bar = document.querySelector('.progress progress'); return bar && bar.value > 0 ? bar.value : null")
    if value:
        seen.add(value)
    return len(seen) >= 2


def options():
    """What a dry run was asked to do, the run that confirms it does too."""
    with Shop(products=400) as shop, Page(shop.start()) as page:
        asked = urllib.request.Request(
            f"{shop.origin}/api/etl/jobs/product_sync/run", method="POST", headers={"Content-Type": "application/json"},
            data=b'{"dryRun": true, "batchSize": 77, "verify": true}')
        with urllib.request.urlopen(asked, timeout=60) as answer:
            assert answer.status == 200
        dry = shop.psql("SELECT id FROM etl.runs WHERE dry_run")
        page.open(f"#/run/{dry}").sees("batchSize 77").sees("verify true")
        page.click("[data-act=confirm]")
        page.click("[data-choice=run]")
        page.sees("400 rows written").sees("batchSize 77")
        run = shop.psql("SELECT options->>'batchSize', options->>'verify', summary->>'proof' FROM etl.runs WHERE NOT dry_run")
        assert run == "77|true|full-compare", run
        page.check_layout()
        page.check_clean()


def documents():
    """The page that dbt made is one click away: a link without a key, a file with one; and it says when there is none."""
    with tempfile.TemporaryDirectory() as folder:
        retail = {"RETAIL_DATABASE_URL": os.environ["CART_DB_URL"], "API_BASE_URL": "http://127.0.0.1:9", "DBT_DOCS_DIR": folder}
        with Shop(JWT_KEY=KEY, **retail) as shop, Page(shop.start()) as page:
            page.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder)
            page.open().sees("A token, please")
            give(page, shop.token("etl:read", subject="reader"))
            page.sees("reader", "#session").click(".documentation")
            page.sees("tallyman docs", "#alerts")
            made = "<!DOCTYPE html><title>Warehouse</title><p>Models</p>"
            with open(os.path.join(folder, "index.html"), "w") as file:
                file.write(made)
            page.click(".documentation")
            saved = os.path.join(folder, "retail-documentation.html")
            wait_for("the file is there", lambda: os.path.exists(saved))
            with open(saved) as file:
                assert file.read() == made
            page.check_layout()
            page.check_clean(["401", "404"])
            shop.stop()
            del shop.settings["JWT_KEY"]
            shop.start()
            page.script("sessionStorage.clear()")
            page.open()
            assert page.find("a.documentation").get_attribute("href") == f"{shop.origin}/docs/retail"


def schedule():
    """A schedule that is paused stays paused over a restart, with who did it and when."""
    with Shop() as shop, Page(shop.start()) as page:
        page.open("#/schedules").sees("The scheduler is on.").sees("At 03:00")
        page.click("[data-act=pause-product_sync]")
        page.sees("paused by loopback")
        shop.stop()
        page.sees("Connection lost")
        shop.start()
        wait_for("connected again", lambda: "Connection lost" not in page.text("#connection"))
        page.sees("paused by loopback")
        assert shop.psql("SELECT paused, changed_by FROM etl.schedules WHERE job = 'product_sync'") == "t|loopback"
        page.click("[data-act=pause-product_sync]")
        page.sees("resumed by loopback")
        # Switched on is not running: nobody can hold the lease of who leads.
        shop.psql("""CREATE FUNCTION nobody() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
            CREATE TRIGGER nobody BEFORE INSERT OR UPDATE ON etl.leases FOR EACH ROW EXECUTE FUNCTION nobody();
            DELETE FROM etl.leases""")
        page.open("#/schedules").sees("The scheduler is on, but nobody leads it: nothing runs by itself.")
        assert "warning" in page.find(".verdict").get_attribute("class").split()
        shop.psql("DROP TRIGGER nobody ON etl.leases")
        page.sees("The scheduler is on.")
        page.click("[data-act=scheduler]")
        page.sees("Switch the scheduler off?", "dialog")
        page.click("[data-choice=off]")
        page.sees("The scheduler is off").sees("Switched off by loopback")
        page.go("#/").sees("The scheduler is off: nothing runs by itself.", ".verdict")
        page.check_layout()
        page.check_clean(expects=["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE"])


def watermark():
    """A position is moved back after the page said what will be read again."""
    with Shop() as shop, Page(shop.start()) as page:
        page.open("#/watermarks").sees("No position is kept yet.")
        shop.psql("INSERT INTO etl.watermarks (source, \"table\", account_id, cursor_ts, cursor_id)"
                  " VALUES ('shopify', 'orders', 'berlin', '2026-11-20T10:00:00Z', '991')")
        page.open("#/watermarks").sees("shopify / orders").click("[data-act=move-back]")
        page.field("#position", "2026-11-21T08:00:00")
        page.click("[data-choice=next]")
        page.sees("Choose an instant before the present position.", "dialog")
        page.field("#position", "2026-11-18T08:00:00")
        page.click("[data-choice=next]")
        page.sees("Read this again?", "dialog").sees("2 d 3 h of changes", "dialog").sees("of account berlin", "dialog")
        assert "20 10:00" in shop.psql("SELECT to_char(cursor_ts AT TIME ZONE 'UTC', 'DD HH24:MI') FROM etl.watermarks")
        page.click("[data-choice=move]")
        page.sees("The watermark was moved", "#news")
        wait_for("moved", lambda: shop.psql("SELECT to_char(cursor_ts AT TIME ZONE 'UTC', 'DD HH24:MI') FROM etl.watermarks") == "18 07:00")
        page.sees("2026-11-18 07:00:00 UTC")
        # A source without accounts has a path of its own.
        shop.psql("DELETE FROM etl.watermarks; INSERT INTO etl.watermarks (source, \"table\", account_id, cursor_ts)"
                  " VALUES ('retail', 'sales', '', '2026-11-20T10:00:00Z')")
        page.open("#/watermarks").sees("retail / sales").click("[data-act=move-back]")
        page.field("#position", "2026-11-19T08:00:00")
        page.click("[data-choice=next]")
        page.click("[data-choice=move]")
        wait_for("moved", lambda: shop.psql("SELECT to_char(cursor_ts AT TIME ZONE 'UTC', 'DD HH24:MI') FROM etl.watermarks") == "19 07:00")
        # What cannot be read again is said to be old, though the daemon answers.
        shop.psql("ALTER TABLE etl.watermarks RENAME TO hidden")
        page.sees("This could not be read again").sees("What you see is old").sees("retail / sales")
        shop.psql("ALTER TABLE etl.hidden RENAME TO watermarks")
        wait_for("it is read again", lambda: "could not be read again" not in page.text("body"))
        page.check_layout()
        page.check_clean(["500", "503"])


def letters():
    """A dead letter is told with its reason, retried after the fix, and gone."""
    with Shop(products=300) as shop, Page(shop.start()) as page:
        shop.psql("ALTER TABLE product ADD CONSTRAINT small CHECK (price < 120 OR price > 121)")
        shop.run("sync")
        assert int(shop.psql("SELECT count(*) FROM etl.dead_letters WHERE resolved_at IS NULL")) == 1
        page.open().sees("1 record waits as a dead letter", ".verdict")
        page.go("#/dead-letters").sees('constraint "small"').click("[data-act=retry]")
        page.sees("will be tried again", "dialog").click("[data-choice=run]")
        page.sees("Done but for the dead letters below").sees("Dead letters of this run")
        shop.psql("ALTER TABLE product DROP CONSTRAINT small")
        page.go("#/dead-letters").sees('constraint "small"').click("[data-act=retry]")
        page.click("[data-choice=run]")
        page.sees("1 row written")
        page.go("#/dead-letters").sees("No dead letter is open.")
        assert shop.psql("SELECT resolution FROM etl.dead_letters") == "synced"
        shop.psql("ALTER TABLE product ADD CONSTRAINT small CHECK (price < 120 OR price > 121) NOT VALID; DELETE FROM product"
                  " WHERE price >= 120 AND price <= 121")
        shop.run("sync")
        page.open("#/dead-letters").sees('constraint "small"').click("[data-act=discard]")
        page.click("[data-choice=discard]")
        page.sees("No dead letter is open.")
        assert shop.psql("SELECT count(*) FROM etl.dead_letters WHERE resolution LIKE 'discarded by %'") == "1"
        page.go("#/").sees("the last run was partial", ".verdict")
        shop.psql("ALTER TABLE product DROP CONSTRAINT small")
        shop.run("sync")
        page.go("#/").sees("Nothing is wrong")
        page.check_layout()
        page.check_clean()


def unread():
    """What cannot be read is unknown, and is not said to be none, off or never."""
    with Shop(products=20) as shop, Page(shop.start()) as page:
        shop.run("sync")
        page.open().sees("Nothing is wrong").sees("none open", "[data-key=strip]")
        shop.psql("ALTER TABLE etl.dead_letters RENAME TO letters_hidden")
        page.open().sees("The dead letters cannot be counted", ".verdict").sees("unknown", "[data-key=strip]")
        assert "none open" not in page.text("[data-key=strip]")
        shop.psql("ALTER TABLE etl.letters_hidden RENAME TO dead_letters; ALTER TABLE etl.runs RENAME TO runs_hidden")
        page.open().sees("The ledger cannot be read", ".verdict").sees("none open", "[data-key=strip]")
        for place, words in [("[data-key=strip]", ["nobody", "nothing due"]), ("[data-key=jobs]", ["has not run", "never", "on demand"])]:
            assert not any(word in page.text(place) for word in words), page.text(place)
        shop.psql("ALTER TABLE etl.runs_hidden RENAME TO runs")
        page.open().sees("Nothing is wrong")
        page.check_layout()
        # Streams end with the ledger.
        page.check_clean(["500", "503", "ERR_INCOMPLETE_CHUNKED_ENCODING"])


def tokens():
    """Token missing, expired, without a scope, read-only, then good: asked for, kept in this tab, never in a URL."""
    expects = ["401", "403"]
    with Shop(JWT_KEY=KEY) as shop, Page(shop.start()) as page:
        page.open().sees("A token, please")
        page.check_layout()
        old = shop.token("etl:read", ttl="1s")
        time.sleep(1.2)
        give(page, old)
        page.sees("the token has expired")
        give(page, "nonsense")
        page.sees("The token is not valid")
        give(page, shop.token("etl:write"))
        page.sees("The token lacks the scope etl:read")
        page.click("#session button")
        give(page, shop.token("etl:read", subject="reader"))
        page.sees("reader", "#session").sees("Nothing is proved yet")
        assert page.find("[data-act=dry-product_sync]").get_attribute("aria-disabled") == "true"
        page.sees("etl:write", "[data-act=dry-product_sync]")
        page.click("[data-act=dry-product_sync]")
        page.sees("needs the scope etl:write", "#alerts")
        assert shop.psql("SELECT count(*) FROM etl.runs") == "0"
        page.driver.refresh()
        page.sees("reader", "#session")
        page.click("#session button")
        good = shop.token("etl:read etl:write", subject="writer")
        give(page, good)
        page.sees("writer", "#session").click("[data-act=dry-product_sync]")
        page.sees("The sides differ").sees("writer · api")
        assert shop.psql("SELECT requested_by FROM etl.runs") == "writer"
        page.check_layout()
        assert "product_sync" in shop.run("top", "--once"), "top makes itself a token"
        kept = page.script("return [localStorage.length, document.cookie, location.href, Object.keys(sessionStorage)]")
        assert kept[:2] == [0, ""] and kept[3] == ["tallyman.token"], f"kept: {kept}"
        page.check_clean(expects)
        assert not any(good in url or "token=" in url for _, url in page.requests)


def give(page, token):
    page.find("#token").send_keys(token, "\ue007")


def restart():
    """The daemon dies under an open page and comes back: said, dimmed, and live again without a reload."""
    with Shop(products=3_000) as shop, Page(shop.start()) as page:
        page.open().sees("Nothing is proved yet")
        wait_for("live", lambda: page.text("#foot .live") == "live")
        page.script("window.__same = true")
        shop.stop(signal.SIGKILL)
        page.sees("Connection lost").sees("comes back by itself")
        wait_for("dimmed", lambda: float(page.script("return getComputedStyle(document.querySelector('main')).opacity")) < 0.9)
        shop.start()
        wait_for("live again", lambda: page.text("#foot .live") == "live")
        assert page.text("#connection") == ""
        assert page.script("return window.__same") is True, "the page was reloaded"
        shop.run("sync")
        page.sees("Nothing is wrong: both sides hold the same.", seconds=30)
        page.check_clean(expects=["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE"])


def ledger():
    """100,000 runs in the ledger: every view is there within seconds."""
    with Shop() as shop:
        shop.psql(history(100_000, 24 * 7))
        shop.psql("ANALYZE etl.runs")
        with Page(shop.start()) as page:
            for view, text in [("#/", "Jobs"), ("#/timeline", "Runs, newest first"), ("#/schedules", "Fires next")]:
                began = time.monotonic()
                page.open(view).sees(text)
                print(f"measured: {view} with 100,000 runs: {1000 * (time.monotonic() - began):.0f} ms")
                assert time.monotonic() - began < 10
            page.go("#/timeline").find(".bar")
            began = time.monotonic()
            page.click(".choices button:last-child")
            wait_for("the week", lambda: page.count(".bar") > 200)
            print(f"measured: a week of 100,000 runs as bars: {1000 * (time.monotonic() - began):.0f} ms")
            assert page.count(".bar") <= 700 and time.monotonic() - began < 15
            page.click(".more")
            wait_for("older runs", lambda: page.count("[data-key=runs] tbody tr") == 70)
            page.check_layout()
            page.check_clean()


MARKUP = '<img src=x onerror=alert(1)> \u202eevil\u202c "quoted" &amp; <script>document.title="owned"</script>'


def markup():
    """Titles, keys and error texts full of markup and right-to-left marks are text, and turn nothing around them."""
    with Shop(products=50) as shop, Page(shop.start()) as page:
        shop.run("sync")
        shop.psql(f"UPDATE product SET title = $t${MARKUP}$t$ WHERE id = (SELECT max(id) FROM product)")
        page.open().click("[data-act=dry-product_sync]")
        page.sees("Stale: 1").click("[data-key=stale] button")
        page.find(".values .value")
        shown = page.script("return [...document.querySelectorAll('.values td')].map((cell) => cell.textContent)")
        assert shown == ["Product 49", MARKUP], f"shown: {shown}"
        assert page.script("return document.querySelector('.values img, .values script')") is None
        key = shop.psql("SELECT max(id) FROM product")
        page.note_requests()
        assert not any(key in url or "evil" in url for _, url in page.requests), "a key or a value stands in a URL"
        page.click(".values button")
        wait_for("hidden again", lambda: page.count(".values") == 0)
        error = '{"kind": "unknown", "stage": "<b>sync</b>", "summary": ' + quoted(MARKUP) + ', "remedy": "<i>do</i>"}'
        shop.psql("UPDATE etl.runs SET state = 'failed', error = $t$" + error + "$t$, summary = NULL, requested_by = $t$"
                  + MARKUP + "$t$ WHERE NOT dry_run")
        shop.psql("INSERT INTO etl.dead_letters (job, key, kind, reason, columns, run_id) SELECT 'product_sync', $t$"
                  + MARKUP + "$t$, 'record-malformed', $t$" + MARKUP + "$t$, ARRAY['<u>'], id FROM etl.runs LIMIT 1")
        shop.psql("INSERT INTO etl.watermarks (source, \"table\", account_id, cursor_value) VALUES ($t$" + MARKUP
                  + "$t$, 'orders', $t$" + MARKUP + "$t$, $t$" + MARKUP + "$t$)")
        failed = shop.psql("SELECT id FROM etl.runs WHERE NOT dry_run")
        for view, text in [("#/", "The last run of product_sync failed"), ("#/timeline", "Runs, newest first"),
                           (f"#/run/{failed}", "What to do"), ("#/dead-letters", "record-malformed"), ("#/watermarks", "orders")]:
            page.open(view).sees(text).sees("<img src=x onerror=alert(1)>")
            inside = page.script("return document.querySelectorAll('#view img, #view script, #view b, #view i, #view u').length")
            assert inside == 0, f"{view}: markup became elements"
            alone = page.script("""
                const marked = [...document.querySelectorAll("#view *")].filter((node) =>
                    [...node.childNodes].some((child) => child.nodeType === 3 && child.data.includes("\\u202e")));
                return marked.length > 0 && marked.every((node) => getComputedStyle(node).unicodeBidi === "isolate")""")
            assert alone, f"{view}: a direction mark is not kept in"
        assert "owned" not in page.driver.title
        page.check_clean()


def quoted(text):
    import json
    return json.dumps(text)


def tabs():
    """Tabs of one browser share one stream; when the daemon has too many watchers, a page asks now and then."""
    with Shop() as shop, Page(shop.start()) as page:
        page.open().sees("Nothing is proved yet")
        for _ in range(3):
            page.new_window().open().sees("Nothing is proved yet")
        assert shop.get("/api/etl/overview")["watchers"] <= 1, "each tab has a stream of its own"
        shop.run("sync")
        for handle in page.driver.window_handles:
            page.driver.switch_to.window(handle)
            page.sees("Nothing is wrong", seconds=30)
            wait_for("live", lambda: page.text("#foot .live") == "live")
        wait_for("one stream", lambda: shop.get("/api/etl/overview")["watchers"] == 1)
        page.check_clean()


def crowd():
    """With 64 streams open the page says that it asks now and then, and still shows what is true."""
    import socket
    with Shop() as shop, Page(shop.start()) as page:
        held = []
        for _ in range(64):
            one = socket.create_connection(("127.0.0.1", shop.port))
            one.sendall(f"GET /api/etl/events HTTP/1.1\r\nHost: 127.0.0.1:{shop.port}\r\n\r\n".encode())
            assert b"200" in one.recv(64)
            held.append(one)
        page.open().sees("Too many pages watch already").sees("Nothing is proved yet")
        shop.run("sync")
        page.sees("Nothing is wrong", seconds=40)
        for one in held:
            one.close()
        wait_for("live", lambda: page.text("#foot .live") == "live")
        page.check_clean(expects=["503"])


def keyboard():
    """Everything goes without a pointer: skip link, views, bars by arrow keys, a dialog that gives the focus back."""
    with Shop(products=200) as shop, Page(shop.start()) as page:
        shop.psql(history(60, 24))
        page.open().sees("Jobs")
        page.keys("\ue004")
        assert page.script("return document.activeElement.className") == "skip"
        page.go("#/timeline").find(".bar[tabindex='0']")
        page.script("document.querySelector(\".bar[tabindex='0']\").focus()")
        first = page.text(".figures")
        page.keys("\ue012")
        wait_for("other figures", lambda: page.text(".figures") not in ("", first) and "run" in page.text(".figures"))
        ring = page.script("return getComputedStyle(document.activeElement.querySelector('.reach')).strokeWidth")
        assert ring == "3px", f"the focus is not seen: {ring}"
        here = page.script("return document.activeElement.dataset.key")
        time.sleep(6)
        assert page.script("return document.activeElement.dataset.key") == here, "drawing again lost the focus"
        page.keys("\ue007")
        wait_for("the run", lambda: "#/run/" in page.driver.current_url)
        page.go("#/schedules").find("[data-act=scheduler]")
        page.script("document.querySelector('[data-act=scheduler]').focus()")
        page.keys("\ue007")
        page.sees("Switch the scheduler off?", "dialog")
        page.keys("\ue00c")
        wait_for("closed", lambda: page.count("dialog") == 0)
        assert page.script("return document.activeElement.dataset.act") == "scheduler", "the focus did not come back"
        assert page.script("return [...document.querySelectorAll('[aria-live], [role=alert]')].length") >= 3
        page.check_clean()


def paint():
    """The sentence is there soon after the page is asked for, and the page is small."""
    import gzip
    import urllib.request
    with Shop() as shop:
        shop.psql(history(2_000, 24))
        shop.start()
        size = 0
        for path in ["/", "/console.css", "/console.js", "/console.svg"]:
            with urllib.request.urlopen(shop.origin + path) as answer:
                size += len(gzip.compress(answer.read()))
                policy = answer.headers["Content-Security-Policy"]
                assert "unsafe" not in policy and "default-src 'none'" in policy
                tag = answer.headers["ETag"]
            again = urllib.request.Request(shop.origin + path, headers={"If-None-Match": tag})
            try:
                urllib.request.urlopen(again)
                raise AssertionError(f"{path} was sent again to one who has it")
            except urllib.error.HTTPError as answer:
                assert answer.code == 304
        print(f"measured: page, style, module and icon, compressed: {size} bytes")
        assert size < 60_000
        with Page(shop) as page:
            times = []
            for _ in range(5):
                page.open().find("#sentence")
                times.append(wait_for("the mark", lambda: page.script(
                    "return performance.getEntriesByName('tallyman.sentence')[0]?.startTime")))
            print(f"measured: the sentence after {min(times):.0f} to {max(times):.0f} ms of five loads")
            assert min(times) < 3_000
            page.check_clean()


VIEWS = {"overview": ("#/", "Jobs"), "timeline": ("#/timeline", "Runs, newest first"), "schedules": ("#/schedules", "Fires next"),
         "watermarks": ("#/watermarks", "shopify"), "dead-letters": ("#/dead-letters", "record-malformed"), "run": (None, "What a run would change")}


def screens():
    """Every view at three widths in both schemes: nothing sticks out, contrast is AA; pictures in CONSOLE_IMAGES."""
    folder = os.environ.get("CONSOLE_IMAGES")
    settings = {"SYNC_CRON_SCHEDULE": "*/30 * * * *", "HEALTH_CHECK_CRON_SCHEDULE": "*/5 * * * *", "TIMEZONE": "Europe/Berlin"}
    with Shop(products=4_000, **settings) as shop:
        shop.run("sync")
        shop.psql("DELETE FROM etl.runs")
        shop.psql(history(48, 24) + history(200, 24, job="health_check", failing=97, seed=0.2))
        shop.psql("UPDATE etl.runs SET summary = NULL WHERE job = 'health_check'")
        shop.psql("UPDATE product SET price = price + 1 WHERE id IN (SELECT id FROM product ORDER BY id LIMIT 3);"
                  "UPDATE product SET title = 'Old title', quantity = 0 WHERE id IN (SELECT id FROM product ORDER BY id DESC LIMIT 2);"
                  "DELETE FROM product WHERE id IN (SELECT id FROM product ORDER BY id OFFSET 50 LIMIT 12)")
        shop.psql("INSERT INTO etl.watermarks (source, \"table\", account_id, cursor_ts, cursor_id) SELECT 'shopify', t, 'berlin',"
                  " clock_timestamp() - interval '9 minutes', '88123' FROM unnest(ARRAY['orders', 'products']) t")
        with Page(shop.start()) as page:
            page.open().click("[data-act=dry-product_sync]")
            page.sees("What a run would change")
            views = VIEWS | {"run": (page.script("return location.hash"), "What a run would change")}
            shop.psql("INSERT INTO etl.dead_letters (job, key, kind, reason, columns, run_id, occurrences, first_seen_at)"
                      " SELECT 'product_sync', k, 'record-malformed', r, ARRAY[c], (SELECT id FROM etl.runs WHERE dry_run), n, "
                      "clock_timestamp() - interval '7 hours' FROM (VALUES ('65a0000000000000000a1b2c', 'column title: too-long',"
                      " 'title', 14), ('65a0000000000000000a1b2d', 'column price: wrong-type', 'price', 3)) AS l(k, r, c, n)")
            for scheme in ["light", "dark"]:
                for width in [360, 768, 1280]:
                    page.look(width, 900, scheme)
                    for name, (view, text) in views.items():
                        page.open(view).sees(text)
                        if name == "timeline":
                            page.find(".bar")
                        page.check_layout()
                        if folder:
                            os.makedirs(folder, exist_ok=True)
                            page.screenshot(f"{folder}/{name}-{width}-{scheme}.png")
            page.check_clean()


def readme():
    """The pictures of the README show the page as it is: they carry a digest of its sources, renewed with UPDATE_GOLDEN=1."""
    images = {scheme: os.path.join(ROOT, f"docs/images/console-{scheme}.png") for scheme in ["light", "dark"]}
    if os.environ.get("UPDATE_GOLDEN") == "1":
        settings = {"SYNC_CRON_SCHEDULE": "*/30 * * * *", "HEALTH_CHECK_CRON_SCHEDULE": "*/5 * * * *", "TIMEZONE": "Europe/Berlin"}
        with Shop(products=4_000, **settings) as shop:
            shop.psql(history(47, 24) + history(190, 24, job="health_check", failing=97, seed=0.2))
            shop.psql("UPDATE etl.runs SET summary = NULL WHERE job = 'health_check'")
            shop.run("sync")
            with Page(shop.start(), height=800) as page:
                for scheme, path in images.items():
                    page.look(1280, 800, scheme)
                    page.open().sees("Nothing is wrong").sees("Last day").find(".bar")
                    page.screenshot(path)
                    label(path, digest())
                page.check_clean()
    for path in images.values():
        assert os.path.getsize(path) < 300_000, f"{path} is large"
        with open(path, "rb") as file:
            assert digest().encode() in file.read(4096), f"{path} shows an older page; renew it with UPDATE_GOLDEN=1"


ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))


def digest():
    """Of every file the page is made of."""
    import hashlib
    folder = os.path.join(ROOT, "Sources/API/Console")
    whole = hashlib.sha256()
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            whole.update(name.encode() + file.read())
    return whole.hexdigest()


def label(path, text):
    """Writes a tEXt chunk behind the header of a PNG (its specification, 11.3.4.3)."""
    import struct
    import zlib
    with open(path, "rb") as file:
        image = file.read()
    body = b"tEXt" + b"Page-Digest\0" + text.encode()
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    with open(path, "wb") as file:
        file.write(image[:33] + chunk + image[33:])


SCENARIOS = [sync, options, documents, schedule, watermark, letters, unread, tokens, restart, ledger, markup, tabs, crowd, keyboard, paint, screens, readme]


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(scenario.__name__ for scenario in SCENARIOS))
        return
    scenario = {scenario.__name__: scenario for scenario in SCENARIOS}[sys.argv[1]]
    scenario()
    print(f"{sys.argv[1]}: done")


if __name__ == "__main__":
    main()
