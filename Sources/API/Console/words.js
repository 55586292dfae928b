// Figures, times and states as people read them.

const grouped = new Intl.NumberFormat(undefined);
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const viewerZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit",
  hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });

// Every state by colour, shape and word, so that none of the three is needed.
const STATES = {
  succeeded: { word: "Succeeded",
    shape: "M8 1.500a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM4.700 8.200l2.300 2.300 4.300-4.600" },
  partial: { word: "Partial", shape: "M8 1.800 15 14.200H1zM8 6.300v3.600M8 12v.2" },
  failed: { word: "Failed",
    shape: "M5.300 1.500h5.400l3.800 3.800v5.400l-3.800 3.800H5.300l-3.800-3.800V5.300zM5.600 5.600l4.800 4.800M10.400 5.600l-4.800 4.800" },
  cancelled: { word: "Cancelled", shape: "M2.500 2.500h11v11h-11zM5 8h6" },
  interrupted: { word: "Interrupted", shape: "M8 1 15 8 8 15 1 8zM8 4.500v4M8 11v.2" },
  skipped: { word: "Skipped", shape: "M2 3l5 5-5 5zM8 3l5 5-5 5zM14.500 3v10" },
  running: { word: "Running", shape: "M4 2l10 6-10 6z" },
  queued: { word: "Queued", shape: "M8 1.500a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM8 4.500V8l2.500 2" },
};
const isActive = (state) => state === "running" || state === "queued";

const PROOFS = {
  "command-tags": "the servers' command tags, row for row",
  "full-compare": "a second compare of everything",
  "compare-only": "a reading that wrote nothing",
};

const number = (value) => (value === null || value === undefined ? "–" : grouped.format(value));
const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${tenths.format(seconds)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

// The daemon's clock decides ages: a viewer's may be wrong.
let clockSkew = 0;
const nowSeconds = () => (Date.now() + clockSkew) / 1000;
const secondsOf = (instant) => Date.parse(instant) / 1000;
const secondsSince = (instant) => Math.max(0, nowSeconds() - secondsOf(instant));

function age(instant) {
  if (!instant) return "never";
  const seconds = secondsSince(instant);
  if (seconds < 5) return "just now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

function until(instant) {
  const seconds = secondsOf(instant) - nowSeconds();
  if (seconds <= 0) return "now";
  if (seconds < 90) return `in ${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `in ${minutes} min`;
  if (minutes < 1440) return `in ${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  return `in ${plural(Math.round(seconds / 86400), "day")}`;
}

// 10:32:05 here, with the day unless it is today.
function localTime(instant) {
  const date = new Date(instant);
  const isToday = date.toDateString() === new Date(Date.now() + clockSkew).toDateString();
  return isToday ? clockFormat.format(date) : `${dayFormat.format(date)} ${clockFormat.format(date)}`;
}

function utcTime(instant) {
  const text = new Date(instant).toISOString();
  const sameDay = text.slice(0, 10) === new Date(Date.now() + clockSkew).toISOString().slice(0, 10);
  return `${sameDay ? "" : `${text.slice(0, 10)} `}${text.slice(11, 19)} UTC`;
}

const shortID = (id) => (id ? id.slice(0, 8) : "");
const jobTitle = (name) => name.replaceAll("_", " ");
