// Asking the daemon. A token stays in memory and in this tab's session storage, and travels in a header only.

const TOKEN_KEY = "tallyman.token";

class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? problem?.message ?? `The daemon answered ${status}.`);
    this.status = status;
    this.problem = problem ?? {};
    this.name = "Refused";
  }
  get kind() { return (this.problem.type ?? "").split(":").pop(); }
}
class Unreachable extends Error {}

const session = {
  token: sessionStorage.getItem(TOKEN_KEY) ?? "",
  caller: null,
  // Why a token is asked for; null while none is.
  asks: null,
  has(scope) { return !scope || (this.caller?.scopes ?? []).includes(scope); },
  keep(token) {
    this.token = token;
    this.asks = null;
    if (token) sessionStorage.setItem(TOKEN_KEY, token);
    else sessionStorage.removeItem(TOKEN_KEY);
  },
  // The header's value; what a header cannot hold is no token.
  get header() { return /^[\x21-\x7e]{1,8192}$/.test(this.token) ? `Bearer ${this.token}` : null; },
};

const randomKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) =>
  byte.toString(16).padStart(2, "0")).join("");

async function ask(method, path, { body, key, respondAsync = false, signal, timeout = 20000, page = false } = {}) {
  const headers = { Accept: page ? "text/html, application/json" : "application/json" };
  if (session.header) headers.Authorization = session.header;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  if (respondAsync) headers.Prefer = "respond-async";
  const deadline = AbortSignal.timeout(timeout);
  let response, text;
  try {
    response = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
      credentials: "same-origin", redirect: "error", signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable("The daemon does not answer.");
  }
  if (page && response.ok) return text;
  let answer = null;
  try { answer = text ? JSON.parse(text) : null; } catch { answer = null; }
  if (response.status === 401) askForToken(answer);
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

function askForToken(problem) {
  const isRefusal = (problem?.type ?? "").endsWith("token-invalid");
  const reason = session.token && isRefusal ? problem.detail : session.token && !session.header ? "That is no token." : "";
  session.caller = null;
  session.asks = { reason };
  feed.stop();
  render();
}

const api = {
  overview: () => ask("GET", "/api/etl/overview"),
  timeline: (hours, job) => ask("GET", `/api/etl/timeline?hours=${hours}${job ? `&job=${encodeURIComponent(job)}` : ""}`),
  runs: (query) => ask("GET", `/api/etl/runs?${new URLSearchParams(query)}`),
  run: (id) => ask("GET", `/api/etl/runs/${encodeURIComponent(id)}`),
  log: (id) => ask("GET", `/api/etl/runs/${encodeURIComponent(id)}/log`),
  difference: (id, key) => ask("POST", `/api/etl/runs/${encodeURIComponent(id)}/difference`, { body: { key } }),
  start: (job, options, key) =>
    ask("POST", `/api/etl/jobs/${encodeURIComponent(job)}/run`, { body: options, key, respondAsync: true }),
  cancel: (id) => ask("POST", `/api/etl/runs/${encodeURIComponent(id)}/cancel`),
  scheduler: (isOn) => ask("POST", `/api/etl/scheduler/${isOn ? "start" : "stop"}`),
  schedule: (job, isPaused) => ask("POST", `/api/etl/schedules/${encodeURIComponent(job)}/${isPaused ? "pause" : "resume"}`),
  watermarks: () => ask("GET", "/api/etl/watermarks"),
  moveWatermark: (mark, position) => ask("PUT", watermarkPath(mark), { body: position }),
  page: (path) => ask("GET", path, { page: true }),
  deadLetters: (query) => ask("GET", `/api/etl/dead-letters?${new URLSearchParams(query)}`),
  retryLetter: (id) => ask("POST", `/api/etl/dead-letters/${encodeURIComponent(id)}/retry`),
  retryLetters: (job) => ask("POST", `/api/etl/dead-letters/retry${job ? `?job=${encodeURIComponent(job)}` : ""}`),
  discardLetter: (id) => ask("DELETE", `/api/etl/dead-letters/${encodeURIComponent(id)}`),
};

// Without an account the path ends with the table: an empty last segment would be none.
const watermarkPath = (mark) => `/api/etl/watermarks/${[mark.database, mark.source, mark.table, mark.accountId].filter(Boolean)
  .map(encodeURIComponent).join("/")}${mark.scope ? `?scope=${encodeURIComponent(mark.scope)}` : ""}`;
