// Which view is shown, what it is made of, and what brings it up to date.

const store = {
  overview: null,
  overviewError: null,
  // The newest word on each run that anybody spoke of; the oldest are let go.
  runs: new Map(),
  keep(run) {
    const known = this.runs.get(run.runId);
    if (known && (known.heartbeatAt ?? "") > (run.heartbeatAt ?? "")) return;
    this.runs.delete(run.runId);
    this.runs.set(run.runId, run);
    if (this.runs.size > 500) this.runs.delete(this.runs.keys().next().value);
  },
};

const VIEWS = { "": overview, timeline, run: runView, schedules, watermarks, "dead-letters": deadLetters };

let route = { name: "", view: overview };

function readRoute() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, argument] = path.split("/");
  const view = VIEWS[name] ?? overview;
  view.enter?.(argument, new URLSearchParams(query));
  const isOther = route.view !== view || route.argument !== argument;
  route = { name: VIEWS[name] ? name : "", view, argument };
  return isOther;
}

async function loadView() {
  const view = route.view;
  if (!view.load || session.asks) return;
  try {
    await view.load();
    view.error = null;
  } catch (error) {
    // What was read before stays, dimmed; only a view without anything shows the error instead.
    view.error = error;
  }
  if (route.view === view) render();
}

async function loadOverview() {
  if (session.asks) return;
  try {
    const sent = Date.now();
    const answer = await api.overview();
    clockSkew = secondsOf(answer.timestamp) * 1000 - (sent + Date.now()) / 2;
    if (Math.abs(clockSkew) < 2000) clockSkew = 0;
    session.caller = answer.caller;
    for (const job of answer.jobs) if (job.active) store.keep(job.active);
    tellVerdict(answer.verdict);
    if (!store.overview) requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("tallyman.sentence")));
    store.overview = answer;
    store.overviewError = null;
    feed.answered();
  } catch (error) {
    store.overviewError = error;
    if (error instanceof Unreachable) feed.become("lost");
  }
  render();
}

function tellVerdict(verdict) {
  const before = store.overview?.verdict;
  if (before && before.sentence !== verdict.sentence) announce(verdict.sentence);
}

// One at a time: whoever asks again while an answer is awaited gets one more round.
let refreshing = null, refreshAgain = false;
function refreshAll() {
  if (document.hidden || session.asks) return;
  if (refreshing) { refreshAgain = true; return; }
  refreshing = Promise.all([loadOverview(), loadView()]).finally(() => {
    refreshing = null;
    if (refreshAgain) { refreshAgain = false; refreshAll(); }
  });
}
const reload = () => { render(); loadView(); };

feed.listeners.add((run) => {
  const before = store.runs.get(run.runId);
  store.keep(run);
  const hasEnded = !isActive(run.state) && (!before || isActive(before.state));
  if (hasEnded) announce(`${jobTitle(run.job)}${run.dryRun ? " (dry run)" : ""}: ${STATES[run.state]?.word.toLowerCase() ?? run.state}.`);
  if (hasEnded || !before) refreshAll();
  // The daemon makes an overview for all who ask, and keeps it most of a second: this one is newer than the end.
  if (hasEnded) setTimeout(refreshAll, 1200);
  render();
});

// Rendering: at most once a frame, and never while nobody looks.
let isDue = false;
function render() {
  if (isDue) return;
  isDue = true;
  (document.hidden ? (work) => setTimeout(work, 1000) : requestAnimationFrame)(() => { isDue = false; draw(); });
}

function draw() {
  const view = document.getElementById("view");
  const content = session.asks ? [tokenForm()] : route.view.render().flat().filter(Boolean);
  const fault = staleness(content);
  if (fault) content.unshift(el("p", { class: "connection lost", role: "alert", "data-key": "stale" },
    "This could not be read again: ", data(fault.message), " What you see is old."));
  view.classList.toggle("old", Boolean(fault));
  morphChildren(view, content);
  document.title = session.asks ? "Token needed · Tallyman" : `${titleMark()}${route.view.title} · Tallyman`;
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.hash === `#/${route.name}` && !session.asks) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.classList.toggle("old", feed.status === "lost" && !session.asks);
  drawSession();
  drawConnection();
}

// Why what is shown is old although the daemon answers; a view without anything says so itself.
function staleness(content) {
  if (session.asks || feed.status === "lost") return null;
  const fault = route.view.error ?? (store.overview && route.view === overview ? store.overviewError : null);
  return fault && !content.some((node) => node.getAttribute("role") === "alert") ? fault : null;
}

const titleMark = () => ({ bad: "✕ ", warning: "△ " }[store.overview?.verdict.level] ?? "");

function drawConnection() {
  const words = {
    lost: () => ["Connection lost ", time(feed.lostAt, { relative: true }),
      ". What you see is old; this page comes back by itself."],
    polling: () => ["Too many pages watch already: this one asks every ten seconds."],
  }[session.asks ? "" : feed.status];
  const shown = words ? [el("p", { class: `connection ${feed.status}` }, words())] : [];
  morphChildren(document.getElementById("connection"), shown);
  const all = store.overview;
  morphChildren(document.getElementById("foot"), all ? [el("p", {}, `Tallyman ${all.version}`, " · up ",
    duration(secondsSince(all.startedAt)), ` · times in ${viewerZone}`, " · ",
    el("a", { href: "/openapi.json" }, "API"), " · ", el("span", { class: `live ${feed.status}` },
      { live: "live", polling: "asking every 10 s", lost: "connection lost", connecting: "connecting" }[feed.status]))] : []);
}

function drawSession() {
  const caller = session.caller;
  const parts = [];
  if (caller) {
    const scopes = caller.scopes.map((scope) => scope.replace("etl:", ""));
    parts.push(el("span", { class: "who", title: "Who you are to the daemon, and what you may do" }, data(caller.name),
      el("span", { class: "scopes" }, scopes.join(" · ") || "no scope")));
  }
  if (session.token && !session.asks) parts.push(el("button", { type: "button", class: "quiet", onclick: changeToken },
    "Change token"));
  morphChildren(document.getElementById("session"), parts);
}

function changeToken() {
  session.keep("");
  session.caller = null;
  store.overview = null;
  store.runs.clear();
  Object.assign(operate, { watermarks: null, letters: null });
  Object.assign(timeline, { answer: null, runs: null });
  Object.assign(overview, { answer: null, pointed: null });
  Object.assign(runView, { log: null, letters: [], values: new Map() });
  session.asks = { reason: "" };
  feed.stop();
  render();
}

function tokenForm() {
  const submit = (event) => {
    event.preventDefault();
    const input = document.getElementById("token");
    session.keep(input.value.trim());
    input.value = "";
    feed.status = "connecting";
    begin();
  };
  return el("section", { class: "panel token", "aria-labelledby": "title", "data-key": "token" },
    el("h1", { id: "title" }, "A token, please"),
    el("p", {}, "This daemon answers those who carry a bearer token. It stays in this tab and goes with its session."),
    session.asks.reason && el("p", { class: "fault", role: "alert" }, data(session.asks.reason)),
    el("form", { onsubmit: submit }, el("label", { for: "token" }, "Token"),
      el("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true,
      "aria-describedby": "token-help" }),
      el("button", { type: "submit", class: "primary" }, "Use it")),
    el("p", { class: "muted", id: "token-help" }, "Make one where JWT_KEY is known: ",
      el("code", {}, "tallyman token --scope 'etl:read etl:write' --ttl 1h")));
}

function begin() {
  readRoute();
  render();
  feed.start();
  refreshAll();
}

window.addEventListener("hashchange", () => {
  if (!readRoute()) return;
  render();
  refreshAll();
  document.getElementById("view").focus({ preventScroll: true });
  scrollTo(0, 0);
});
window.addEventListener("resize", render);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) feed.stop();
  else begin();
});
window.addEventListener("pagehide", () => feed.stop());

// Ages move on; what no event tells is asked for.
setInterval(() => { if (!document.hidden) render(); }, 5000);
setInterval(() => { if (!document.hidden) loadOverview(); }, 10000);
let lastLoad = 0;
setInterval(() => {
  if (document.hidden || !route.view.every || Date.now() - lastLoad < route.view.every) return;
  lastLoad = Date.now();
  loadView();
}, 500);

begin();
