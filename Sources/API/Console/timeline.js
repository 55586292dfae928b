// What ran when, and how it went over time.

const RANGES = { 24: "Last day", 168: "Last week" };

const timeline = {
  title: "Timeline",
  hours: 24,
  job: null,
  answer: null,
  error: null,
  runs: null,
  pointed: null,
  every: 15000,

  async load() {
    const hours = this.hours;
    const [answer, runs] = await Promise.all([api.timeline(hours), api.runs({ limit: 20 })]);
    if (hours !== this.hours) return;
    this.answer = answer;
    this.runs ??= runs;
    this.runs = { runs: mergeRuns(runs.runs, this.runs.runs), next: this.runs.next ?? runs.next };
    if (this.runs.runs.length <= 20) this.runs.next = runs.next;
  },

  async more() {
    const page = await api.runs({ limit: 50, before: this.runs.runs.at(-1).runId });
    this.runs = { runs: [...this.runs.runs, ...page.runs], next: page.next };
    render();
  },

  render() {
    const chooser = el("div", { class: "choices", role: "group", "aria-label": "Time" },
      Object.entries(RANGES).map(([hours, name]) =>
      el("button", { type: "button", "aria-pressed": String(this.hours === Number(hours)),
        onclick: () => { this.hours = Number(hours); this.answer = null; this.pointed = null; reload(); } }, name)));
    const head = heading("Timeline", chooser);
    if (!this.answer) return [head, ...waiting(this.error)];
    const { from, to, spans, jobs } = spansOf(this.answer);
    if (!jobs.length) return [head, empty("Nothing ran in this time.", "Start a dry run from the ",
      el("a", { href: "#/" }, "overview"),
      ", or wait for the next fire: ", el("a", { href: "#/schedules" }, "schedules"), "."), runTable(this)];
    return [head, el("section", { class: "panel", "aria-label": "Runs", "data-key": "bars" }, barsOf(this)),
      plots(this, spans, jobs, from, to), runTable(this)];
  },
};

function spansOf(answer) {
  const spans = answer.spans.map((span) => ({ ...span, key: `${span.job} ${span.from}`, began: secondsOf(span.from),
    ended: secondsOf(span.to) }));
  return { spans, from: secondsOf(answer.from), to: Math.max(secondsOf(answer.to), nowSeconds()),
    jobs: [...new Set(spans.map((span) => span.job))].sort() };
}

// The bars of a view's answer, their legend, and the figures of the one that is pointed at.
function barsOf(view) {
  const { spans, from, to, jobs } = spansOf(view.answer);
  const lanes = jobs.map((job) => ({ job, spans: spans.filter((span) => span.job === job) }));
  const pointed = spans.find((span) => span.key === view.pointed);
  const point = (span) => { if (view.pointed !== span.key) { view.pointed = span.key; render(); } };
  return [legend(), timelinePlot({ lanes, from, to, width: plotWidth(), pointed: pointed?.key ?? lanes[0].spans.at(-1)?.key,
    isPointed: Boolean(pointed), point }),
    el("p", { class: "figures", role: "status" }, pointed ? data(spanWords(pointed))
      : el("span", { class: "muted" }, "Point at a bar, or move with the arrow keys, for its figures; Enter opens the run."))];
}

const mergeRuns = (fresh, old) => [...fresh, ...old.filter((run) => !fresh.some((other) => other.runId === run.runId))]
  .map((run) => store.runs.get(run.runId) ?? run);

const plotWidth = () => Math.max(280, Math.min(1320, document.documentElement.clientWidth - (innerWidth < 700 ? 52 : 96)));

const legend = () => el("ul", { class: "legend states" }, ["succeeded", "partial", "failed", "interrupted", "cancelled",
  "running"].map((state) =>
  el("li", { class: state }, icon(state), STATES[state].word)), el("li", { class: "dry" }, svg("svg",
    { class: "icon", viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
  svg("rect", { class: "hollow", x: 3, y: 3, width: 10, height: 10, rx: 1.500 })), "Dry run"));

function plots(view, spans, jobs, from, to) {
  const job = view.job ?? jobs.find((name) => spans.some((span) => span.job === name && span.drift)) ?? jobs[0];
  const own = spans.filter((span) => span.job === job && !span.states.running && !span.states.queued);
  const width = innerWidth < 1100 ? plotWidth() : Math.floor((plotWidth() - 56) / 3);
  const points = (value) => own.map((span) => ({ at: span.began, y: value(span) })).filter((point) => Number.isFinite(point.y));
  const common = { from, to, width };
  const drifts = own.filter((span) => span.drift);
  return el("section", { class: "panel", "aria-labelledby": "plots-title", "data-key": "plots" },
    el("div", { class: "heading" }, el("h2", { id: "plots-title" }, "Over time"), el("label", { class: "select" }, "Job ",
      el("select", { onchange: (event) => { view.job = event.target.value; render(); } }, jobs.map((name) =>
        el("option", { value: name, selected: name === job }, jobTitle(name)))))),
    el("div", { class: "plots" },
      linePlot({ title: "Duration", unit: "seconds", series: [{ points: points((span) => span.seconds / span.runs) }],
        ...common }),
      linePlot({ title: "Speed", unit: "rows per second", series: [{ points: points((span) =>
        (span.rows > 0 && span.seconds > 0 ? span.rows / span.seconds : NaN)) }], ...common }),
      linePlot({ title: "Drift found", unit: "rows", series: ["missing", "stale", "orphaned"].map((kind) =>
        ({ name: kind, points: drifts.map((span) => ({ at: span.began, y: span.drift[kind] })) })), ...common })));
}

function runTable(view) {
  const runs = (view.runs?.runs ?? []).map((run) => store.runs.get(run.runId) ?? run);
  return el("section", { class: "panel", "aria-labelledby": "runs-title", "data-key": "runs" },
    el("h2", { id: "runs-title" }, "Runs, newest first"),
    runs.length === 0 ? empty("No run yet.", "A dry run from the ", el("a", { href: "#/" }, "overview"),
      " is the first step: it compares and writes nothing.")
      : el("div", { class: "scroll" }, el("table", { class: "cards" },
        el("thead", {}, el("tr", {}, ["Run", "Job", "State", "Began", "Took", "Written", "Asked for by"].map((name) =>
        el("th", { scope: "col", class: ["Took", "Written"].includes(name) ? "figure-cell" : null }, name)))),
      el("tbody", {}, runs.map((run) => el("tr", { "data-key": run.runId }, el("th", { scope: "row" }, runLink(run.runId)),
        cell("Job", null, jobTitle(run.job)),
        cell("State", null, stateBadge(run.state, run.dryRun)), cell("Began", null, time(run.startedAt ?? run.queuedAt)),
        cell("Took", "figure-cell", run.duration === undefined ? "–" : duration(run.duration / 1000)),
        cell("Written", "figure-cell", number(run.summary?.counts?.syncedProducts ?? run.progress?.written)),
        cell("Asked for by", null, data(run.requestedBy), el("span", { class: "muted" }, ` ${run.trigger}`))))))),
    view.runs?.next && el("button", { type: "button", class: "quiet more",
      onclick: () => view.more().catch((error) => announce(error.message, true)) }, "Older runs"));
}
