"""A page in a real Chromium, and what must hold on every page."""

import json

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from shop import wait_for

# Reports of a policy reach the page as events too; they are kept from the first script on.
KEEP_REPORTS = """
    window.__reports = [];
    document.addEventListener("securitypolicyviolation", (event) => window.__reports.push(event.violatedDirective));
    window.addEventListener("error", (event) => window.__reports.push(String(event.message)));
    window.addEventListener("unhandledrejection", (event) => window.__reports.push(String(event.reason)));
"""

# Every text that is seen, with the contrast of its colour to what is behind it (WCAG 2.2, 1.4.3).
CONTRAST = """
    const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
    const over = (top, under) => ({ r: top.r * top.a + under.r * (1 - top.a), g: top.g * top.a + under.g * (1 - top.a),
        b: top.b * top.a + under.b * (1 - top.a), a: 1 });
    const light = ({ r, g, b }) => [r, g, b].map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; })
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const behind = (node) => { let chain = []; for (let at = node; at; at = at.parentElement) chain.push(parse(getComputedStyle(at).backgroundColor));
        return chain.reverse().reduce((under, top) => over(top, under), { r: 255, g: 255, b: 255, a: 1 }); };
    const poor = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !node.checkVisibility() || node.closest(".visually-hidden, .skip, [aria-hidden]")) continue;
        const style = getComputedStyle(node);
        const isSVG = node.namespaceURI.endsWith("svg");
        const front = over(parse(isSVG ? style.fill : style.color), behind(node));
        const [one, other] = [light(front), light(behind(node))].sort((a, b) => b - a);
        const ratio = (one + .05) / (other + .05);
        const isLarge = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
        if (ratio < (isLarge ? 3 : 4.5)) poor.push(`${ratio.toFixed(2)} ${node.localName}.${node.className} "${walker.currentNode.data.trim().slice(0, 40)}"`);
    }
    return poor;
"""

# What can be pressed and has no name, and what sticks out sideways.
NAMELESS = """
    return [...document.querySelectorAll("a, button, input, select, summary, [role=img], progress")].filter((node) => node.checkVisibility()
        && !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length)).map((node) => node.outerHTML.slice(0, 90));
"""


class Page:
    """One browser with one profile; a `with` closes it."""

    def __init__(self, shop, width=1280, height=900, scheme="light", zone="Europe/Berlin"):
        options = Options()
        for argument in [
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
            "--force-device-scale-factor=1", f"--window-size={width},{height}", "--disable-component-update",
            "--disable-background-networking", "--no-first-run", "--lang=en-GB", "--disable-search-engine-choice-screen",
        ]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_page_load_timeout(60)
        self.driver.set_script_timeout(60)
        self.shop = shop
        self.requests = []
        self.shape = (width, height, scheme)
        self.zone = zone
        self.prepare()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0]:
            print("--- the page\n" + self.text("body")[:3000])
            print("--- its console\n" + "\n".join(entry["message"] for entry in self.driver.get_log("browser"))[:3000])
        self.driver.quit()

    def prepare(self):
        """What each window is told before its first page."""
        self.command("Page.addScriptToEvaluateOnNewDocument", source=KEEP_REPORTS)
        self.command("Emulation.setTimezoneOverride", timezoneId=self.zone)
        self.look(*self.shape)

    def new_window(self):
        self.driver.switch_to.new_window("window")
        self.prepare()
        return self

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def look(self, width, height, scheme):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.command("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}])

    def open(self, hash_path="#/"):
        """Loads the page anew, also when only what is behind the # differs."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.shop.origin}/{hash_path}")
        return self

    def go(self, hash_path):
        self.driver.execute_script("location.hash = arguments[0]", hash_path)
        return self

    def script(self, source, *arguments):
        return self.driver.execute_script(source, *arguments)

    def text(self, css):
        return self.script("return document.querySelector(arguments[0])?.innerText ?? ''", css)

    def find(self, css):
        return wait_for(f"{css} on the page", lambda: self.driver.find_elements(By.CSS_SELECTOR, css))[0]

    def count(self, css):
        return len(self.driver.find_elements(By.CSS_SELECTOR, css))

    def click(self, css):
        """Presses it by the keyboard's way in: focus, then Enter; a node may be replaced between two looks."""
        self.find(css)
        pressed = wait_for(f"{css} takes the focus", lambda: self.script(
            "const node = document.querySelector(arguments[0]); node?.focus(); return document.activeElement === node", css))
        assert pressed
        self.keys("\ue007")

    def pointer(self, css):
        """Presses it with the pointer."""
        self.find(css)
        self.script("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", css)
        ActionChains(self.driver).click(self.find(css)).perform()

    def keys(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def sees(self, text, css="body", seconds=60):
        """Waits for a text, case and spaces aside."""
        wanted = " ".join(text.lower().split())
        wait_for(f"“{text}” in {css}", lambda: wanted in " ".join(self.text(css).lower().split()), seconds)
        return self

    def field(self, css, value):
        self.find(css)
        self.script("const node = document.querySelector(arguments[0]); node.value = arguments[1];"
                    "node.dispatchEvent(new Event('input', {bubbles: true}))", css, value)

    def note_requests(self):
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append((message["params"]["request"]["method"], message["params"]["request"]["url"]))

    def check_clean(self, expects=()):
        """No console error but those expected, no policy report, no request to another origin."""
        reports = self.script("return window.__reports")
        assert reports == [], f"reports: {reports}"
        bad = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        bad = [message for message in bad if not any(expected in message for expected in expects)]
        assert bad == [], f"console: {bad}"
        self.note_requests()
        assert self.requests, "the browser told of no request"
        strangers = [url for _, url in self.requests if not url.startswith((self.shop.origin + "/", f"blob:{self.shop.origin}/", "data:", "about:"))]
        assert strangers == [], f"requests to another origin: {strangers}"

    def check_layout(self):
        """Nothing sticks out sideways, everything that can be pressed has a name, contrast is AA."""
        wide = self.script("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], f"{wide[0]} px wide in {wide[1]}"
        assert self.script(NAMELESS) == []
        assert self.script(CONTRAST) == []

    def screenshot(self, path, most=2400):
        """The whole page, however long."""
        height = min(most, self.script("return Math.ceil(document.documentElement.scrollHeight)"))
        width = self.script("return innerWidth")
        import base64
        shot = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                            clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
