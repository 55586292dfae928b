// Plots as SVG: axes with units, states by colour and shape, figures for pointer and keyboard alike.

const HOUR = 3600;
const STEPS = [HOUR / 4, HOUR / 2, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 168 * HOUR];
const tickHour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const tickDay = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric" });

const scale = (from, to, start, end) => (value) => start + ((value - from) / (to - from || 1)) * (end - start);

// Instants that fall on whole hours or days of the viewer's zone.
function timeTicks(from, to, width) {
  const fits = Math.max(2, Math.floor(width / 84));
  const step = STEPS.find((candidate) => (to - from) / candidate <= fits) ?? STEPS.at(-1);
  const offset = new Date(from * 1000).getTimezoneOffset() * 60;
  const ticks = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step) {
    const date = new Date(at * 1000);
    const isMidnight = date.getHours() === 0 && date.getMinutes() === 0;
    ticks.push({ at, text: isMidnight || step >= 24 * HOUR ? tickDay.format(date) : tickHour.format(date) });
  }
  return ticks;
}

function niceTicks(most, count = 4) {
  if (!(most > 0)) return [0, 1];
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const ticks = [];
  for (let at = 0; at < most + step * 0.999; at += step) ticks.push(Number(at.toPrecision(12)));
  return ticks;
}

const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

function timeAxis(x, from, to, left, right, y) {
  return svg("g", { class: "axis" },
    svg("line", { x1: left, x2: right, y1: y, y2: y }),
    timeTicks(from, to, right - left).map(({ at, text }) => svg("g", {},
      svg("line", { x1: x(at), x2: x(at), y1: y, y2: y + 4 }),
      svg("text", { x: x(at), y: y + 17, "text-anchor": x(at) > right - 24 ? "end" : x(at) < left + 18 ? "start" : "middle" },
        text))),
  );
}

// Marks above a bar: which state is the worst in it.
const MARKS = {
  partial: "M0-5 5 4h-10z", failed: "M-4-4 4 4M4-4-4 4", cancelled: "M-3.500-3.500h7v7h-7z", interrupted: "M0-5 4.500 0 0 5-4.500 0z",
  running: "M-3-4.500 4.500 0-3 4.500z", queued: "M0-4a4 4 0 1 0 .010 0z", skipped: "M-3-4 2 0-3 4",
};
const SEVERITY = ["succeeded", "skipped", "queued", "running", "cancelled", "partial", "interrupted", "failed"];
const worstState = (states) => Object.keys(states).reduce((worst, state) =>
  (SEVERITY.indexOf(state) > SEVERITY.indexOf(worst) ? state : worst), "succeeded");

const LANE = 54;
const BAR = 18;

// `spans` by job, `point(span)` when one is pointed at or focused.
function timelinePlot({ lanes, from, to, width, pointed, isPointed, point }) {
  const left = 1, right = width - 1;
  const height = lanes.length * LANE + 30;
  const x = scale(from, to, left, right);
  const drawn = lanes.map(({ job, spans }, index) => {
    const base = index * LANE + LANE - 6;
    return svg("g", { class: "lane", "data-key": job },
      svg("text", { class: "lane-name", x: left, y: index * LANE + 13 }, jobTitle(job)),
      svg("line", { class: "lane-line", x1: left, x2: right, y1: base, y2: base }),
      spans.map((span) => bar(span, x, right, base, index, span.key === pointed, isPointed, point)));
  });
  return svg("svg", { class: "plot timeline", viewBox: `0 0 ${width} ${height}`, width, height, role: "group",
    "aria-label": "Runs by job; arrow keys move from bar to bar", onkeydown: moveAlongBars },
    svg("g", { class: "grid" }, timeTicks(from, to, width).map(({ at }) =>
      svg("line", { x1: x(at), x2: x(at), y1: 0, y2: height - 28 }))),
    drawn, timeAxis(x, from, to, left, right, height - 26));
}

// Exactly one bar is in the order of the Tab key; it is marked once it is pointed at.
function bar(span, x, right, base, lane, isFirst, isPointed, point) {
  const start = Math.max(0, x(span.began));
  const width = Math.max(3.5, Math.min(right, x(span.ended)) - start);
  const worst = worstState(span.states);
  const segments = [];
  let y = base;
  for (const state of SEVERITY.filter((name) => span.states[name])) {
    const tall = Math.max(4, (span.states[state] / span.runs) * BAR);
    y = Math.max(base - BAR, y - tall);
    segments.push(svg("rect", { class: state, x: start, y, width, height: Math.min(tall, base - y), rx: 1.500 }));
  }
  return svg("a", { href: `#/run/${span.runId}`, "data-key": span.key, "data-lane": lane, "data-at": span.began,
    class: `bar${span.dryRuns === span.runs ? " dry" : ""}${isFirst && isPointed ? " pointed" : ""}`,
    tabindex: isFirst ? 0 : -1, "aria-label": spanWords(span),
    onpointerenter: () => point(span), onfocus: () => point(span) },
    svg("rect", { class: "reach", x: start - 2, y: base - BAR - 10, width: width + 4, height: BAR + 12 }), segments,
    MARKS[worst] && svg("path", { class: `mark ${worst}`, d: MARKS[worst],
      transform: `translate(${start + width / 2} ${base - BAR - 6})` }));
}

function spanWords(span) {
  const states = SEVERITY.filter((state) => span.states[state]).reverse()
    .map((state) => (span.runs === 1 ? STATES[state].word.toLowerCase()
      : `${span.states[state]} ${STATES[state].word.toLowerCase()}`));
  const rate = span.seconds > 0 && span.rows > 0 ? `, ${number(Math.round(span.rows / span.seconds))} rows/s` : "";
  const drift = span.drift ? `, found ${driftWords(span.drift)}` : "";
  const dry = span.dryRuns === span.runs ? " (dry run)" : "";
  return `${jobTitle(span.job)}${dry}: ${plural(span.runs, "run")}, ${states.join(", ")}, ${localTime(span.from)} (${utcTime(span.from)}), `
    + `${span.runs === 1 ? "took" : "longest"} ${duration(span.longestSeconds)}${rate}${drift}`;
}

const driftWords = (drift) => {
  const parts = ["missing", "stale", "orphaned"].filter((kind) => drift[kind] > 0).map((kind) =>
    `${number(drift[kind])} ${kind}`);
  return parts.length ? parts.join(", ") : "no difference";
};

function moveAlongBars(event) {
  const bars = [...event.currentTarget.querySelectorAll("a.bar")];
  const here = bars.indexOf(document.activeElement);
  if (here < 0) return;
  const lane = Number(bars[here].dataset.lane);
  const inLane = (index) => bars.filter((other) => Number(other.dataset.lane) === index);
  const own = inLane(lane);
  const nearest = (list) => list.reduce((best, other) =>
    (Math.abs(other.dataset.at - bars[here].dataset.at) < Math.abs((best ?? other).dataset.at - bars[here].dataset.at) ? other
      : best ?? other), null);
  const laneAt = (step) => {
    for (let index = lane + step; index >= 0
      && index < 500; index += step) if (inLane(index).length) return nearest(inLane(index));
    return null;
  };
  const target = {
    ArrowRight: () => own[own.indexOf(bars[here]) + 1], ArrowLeft: () => own[own.indexOf(bars[here]) - 1],
    Home: () => own[0], End: () => own.at(-1), ArrowUp: () => laneAt(-1), ArrowDown: () => laneAt(1),
  }[event.key]?.();
  if (!target) return;
  event.preventDefault();
  target.focus();
}

// Lines over time. Each series has its own dash and its own dot, so that print and the colour-blind can tell them.
const DOTS = ["M0-3a3 3 0 1 0 .010 0z", "M-3-3h6v6h-6z", "M0-4 4 3.500h-8z"];

function linePlot({ title, unit, series, from, to, width, format = (value) => compact.format(value) }) {
  const height = 190, left = 46, right = width - 6, top = 26, bottom = height - 26;
  const points = series.flatMap((one) => one.points);
  if (!points.length) return empty(title, "Nothing to plot in this time: runs that ended will show here.");
  const ticks = niceTicks(Math.max(...points.map((point) => point.y)));
  const x = scale(from, to, left, right), y = scale(0, ticks.at(-1), bottom, top);
  const last = series.map((one) => `${one.name ? `${one.name} ` : ""}${format(one.points.at(-1)?.y ?? 0)}`).join(", ");
  return el("figure", { class: "figure", "data-key": title },
    el("figcaption", {}, el("span", { class: "figure-title" }, title), el("span", { class: "muted" }, unit)),
    svg("svg", { class: "plot lines", viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
      "aria-label": `${title} in ${unit}: ${plural(points.length, "point")}, newest ${last}` },
      svg("g", { class: "grid" }, ticks.map((tick) => svg("line", { x1: left, x2: right, y1: y(tick), y2: y(tick) }))),
      svg("g", { class: "axis" }, ticks.map((tick) =>
        svg("text", { x: left - 7, y: y(tick) + 4, "text-anchor": "end" }, format(tick)))),
      timeAxis(x, from, to, left, right, bottom),
      series.map((one, index) => svg("g", { class: `series s${index}` },
        svg("polyline", { points: one.points.map((point) => `${round(x(point.at))},${round(y(point.y))}`).join(" ") }),
        one.points.map((point) =>
          svg("path", { d: DOTS[index], transform: `translate(${round(x(point.at))} ${round(y(point.y))})` },
          svg("title", {}, `${localTime(point.at * 1000)}: ${one.name ? `${one.name} ` : ""}${format(point.y)} ${unit}`)))))),
    series.length > 1 && el("p", { class: "legend" }, series.map((one, index) => el("span", { class: `series s${index}` },
      svg("svg", { width: 26, height: 10, viewBox: "-13 -5 26 10", "aria-hidden": "true" },
        svg("line", { x1: -13, x2: 13, y1: 0, y2: 0 }), svg("path", { d: DOTS[index] })), one.name))),
    el("details", { class: "as-table" }, el("summary", {}, "As a table"), pointTable(series, unit, format)));
}

const round = (value) => Math.round(value * 10) / 10;

function pointTable(series, unit, format) {
  const rows = series[0].points.slice(-24).reverse();
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Time"),
      series.map((one) => el("th", { scope: "col", class: "figure-cell" }, one.name || unit)))),
    el("tbody", {}, rows.map((point, index) => el("tr", {}, el("td", {}, time(new Date(point.at * 1000).toISOString())),
      series.map((one) => el("td", { class: "figure-cell" }, format(one.points.at(-1 - index)?.y ?? 0))))))));
}
