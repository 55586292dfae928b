// Elements from values. Text is set as text and nothing is ever parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node[name] = value;
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name === "className" ? "class" : name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

const el = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);
const svg = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

// What came from a database: its own direction marks must not turn the text around it.
const data = (text, className) => el("bdi", { class: className ?? "data" }, text ?? "–");

const HANDLERS = ["onclick", "onchange", "oninput", "onkeydown", "onsubmit", "onpointerenter", "onpointerleave", "onfocus",
  "onblur", "ontoggle"];

// Makes `old` look like `fresh` and keeps the nodes that stay: focus, selection and what is open survive.
function morph(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const handler of HANDLERS) {
    if (old[handler] !== fresh[handler]) old[handler] = fresh[handler];
  }
  morphChildren(old, [...fresh.childNodes]);
}

function morphChildren(parent, wanted) {
  const keyed = new Map();
  for (const child of parent.children) if (child.hasAttribute("data-key")) keyed.set(child.getAttribute("data-key"), child);
  let at = parent.firstChild;
  for (const fresh of wanted) {
    const key = fresh.nodeType === Node.ELEMENT_NODE ? fresh.getAttribute("data-key") : null;
    let same = key === null ? at : keyed.get(key) ?? null;
    if (same && !isLike(same, fresh)) same = null;
    if (key === null && same?.nodeType === Node.ELEMENT_NODE && same.hasAttribute("data-key")) same = null;
    if (!same) {
      parent.insertBefore(fresh, at);
      continue;
    }
    if (same !== at) parent.insertBefore(same, at);
    else at = at.nextSibling;
    if (same.nodeType === Node.ELEMENT_NODE) morph(same, fresh);
    else if (same.data !== fresh.data) same.data = fresh.data;
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const isLike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName;

// The pieces that several views share.

const icon = (state) => svg("svg", { class: `icon ${state}`, viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
  svg("path", { d: (STATES[state] ?? STATES.queued).shape }));

const stateBadge = (state, dryRun) => el("span", { class: `badge ${state}` }, icon(state),
  el("span", {}, STATES[state]?.word ?? state),
  dryRun && el("span", { class: "tag" }, "dry run"));

// A time in the viewer's zone with UTC beside it.
function time(instant, { relative = false } = {}) {
  if (!instant) return el("span", { class: "muted" }, "never");
  const same = viewerZone === "UTC" || viewerZone === "Etc/UTC";
  return el("time", { datetime: instant, title: `${new Date(instant).toISOString()} · ${viewerZone}` },
    relative && el("span", { class: "age" }, relative === "until" ? until(instant) : age(instant)),
    el("span", { class: "at" }, same ? utcTime(instant) : localTime(instant),
      !same && el("span", { class: "utc" }, utcTime(instant))));
}

const runLink = (id, text) => el("a", { href: `#/run/${id}`, class: "run-link" }, text ?? el("code", {}, shortID(id)));

const field = (name, ...value) => el("div", { class: "field" }, el("dt", {}, name), el("dd", {}, ...value));

function empty(title, ...how) {
  return el("div", { class: "empty" }, el("p", { class: "empty-title" }, title), el("p", {}, ...how));
}

// A button that says what it needs when the caller may not press it; it is never hidden.
function actButton(label, scope, press, properties = {}) {
  const allowed = session.has(scope);
  return el("button", {
    type: "button", ...properties, "aria-disabled": allowed ? null : "true",
    title: allowed ? properties.title : `Needs the scope ${scope}`,
    onclick: (event) => (allowed ? press(event) : announce(`${label} needs the scope ${scope}, which this token lacks.`, true)),
  }, label, !allowed && el("span", { class: "needs" }, scope));
}

// A cell of a table that becomes a card where it is narrow; there its label stands beside it.
const cell = (label, className, ...content) => el("td", { "data-label": label, class: className }, el("div", {}, content));

function heading(title, ...more) {
  return el("div", { class: "heading" }, el("h1", { id: "title" }, title), ...more);
}

let announced = "";
function announce(text, isAlert = false) {
  const region = document.getElementById(isAlert ? "alerts" : "news");
  region.textContent = text === announced ? `${text} ` : text;
  announced = text;
  if (isAlert) showToast(text);
}

function showToast(text) {
  document.querySelector(".toast")?.remove();
  const toast = el("div", { class: "toast", "aria-hidden": "true" }, text);
  document.body.append(toast);
  setTimeout(() => toast.remove(), 6000);
}
