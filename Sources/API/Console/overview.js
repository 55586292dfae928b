// Everything at a glance.

const overview = {
  title: "Overview",
  render() {
    const all = store.overview;
    if (!all) return waiting(store.overviewError);
    return [el("h1", { class: "visually-hidden", id: "title" }, "Overview"), verdict(all), strip(all), running(all),
      jobTable(all), lastDay(this)];
  },
  every: 20000,
  hours: 24,
  answer: null,
  pointed: null,
  async load() { this.answer = await api.timeline(this.hours); },
};

function lastDay(view) {
  if (!view.answer?.spans.length) return null;
  return el("section", { class: "panel", "aria-labelledby": "day-title", "data-key": "day" },
    el("div", { class: "heading" }, el("h2", { id: "day-title" }, "Last day"),
      el("a", { href: "#/timeline" }, "More, and over time")), barsOf(view));
}

function waiting(error) {
  return [error ? failure(error) : el("p", { class: "loading" }, "Reading the ledger…")];
}

function failure(error) {
  return el("div", { class: "verdict bad", role: "alert" }, verdictIcon("bad"),
    el("div", {}, el("p", { class: "sentence" }, error.message), el("p", { class: "muted" },
      error instanceof Refused && error.status === 403 ? "Use a token with that scope: the button at the top right changes it."
        : "This page asks again by itself.")));
}

const VERDICTS = {
  ok: "M12 2.500a9.500 9.500 0 1 0 0 19 9.500 9.500 0 0 0 0-19zM7.500 12.300l3.200 3.200 6-6.600", warning: "M12 3 22.500 21h-21zM12 9.500v5M12 17.600v.3",
  bad: "M8 2.500h8L21.500 8v8L16 21.500H8L2.500 16V8zM8.500 8.500l7 7M15.500 8.500l-7 7", unknown: "M12 2.500a9.500 9.500 0 1 0 0 19 9.500 9.500 0 0 0 0-19zM9.300 9.500a2.800 2.800 0 1 1 4 2.500c-.9.5-1.300 1-1.300 2M12 17.200v.3",
};
const verdictIcon = (level) => svg("svg", { class: "verdict-icon", viewBox: "0 0 24 24", width: 40, height: 40,
  "aria-hidden": "true" },
  svg("path", { d: VERDICTS[level] ?? VERDICTS.unknown }));

function verdict({ verdict: judged }) {
  const proof = judged.provedAt && el("p", { class: "proof" },
    judged.proof ? `Proved by ${PROOFS[judged.proof] ?? judged.proof}, ` : "As of ", time(judged.provedAt, { relative: true }),
    judged.runId && [" · ", runLink(judged.runId, `run ${shortID(judged.runId)}`)]);
  return el("section", { class: `verdict ${judged.level}`, "aria-labelledby": "sentence", "data-key": "verdict" },
    verdictIcon(judged.level),
    el("div", {}, el("p", { class: "sentence", id: "sentence" }, data(judged.sentence)), proof,
      judged.further.length > 0 && el("ul", { class: "further" }, judged.further.map((sentence) =>
        el("li", {}, data(sentence))))));
}

function strip(all) {
  const scheduler = all.scheduler;
  const isCounted = all.jobs.every((job) => job.openDeadLetters !== null);
  const letters = all.jobs.reduce((sum, job) => sum + (job.openDeadLetters ?? 0), 0);
  const next = all.jobs.filter((job) => job.nextFire).sort((one, other) => (one.nextFire < other.nextFire ? -1 : 1))[0];
  return el("dl", { class: "strip", "data-key": "strip" },
    el("div", { class: "tile wide" }, el("dt", {}, "Answering"), el("dd", {},
      el("ul", { class: "databases" }, all.databases.map((base) =>
      el("li", { class: base.answers ? "up" : "down", title: base.reason ?? "answers" },
        svg("svg", { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" },
          svg("path", { d: base.answers ? "M1.500 6.500l3 3 6-7" : "M2 2l8 8M10 2l-8 8" })),
        data(base.name), el("span", { class: "visually-hidden" }, base.answers ? " answers" : ` does not: ${base.reason}`)))))),
    scheduler ? tile("Leader", scheduler.leader ? data(scheduler.leader) : "nobody",
      scheduler.isLeader ? "this daemon" : scheduler.leader ? "another replica" : "no replica leads the schedule")
      : tile("Leader", "–", "the ledger cannot be read"),
    scheduler ? tile("Next", next ? until(next.nextFire) : scheduler.enabled ? "nothing due" : "scheduler off",
      next ? [jobTitle(next.job), " · ", time(next.nextFire)] : "") : tile("Next", "–", "the ledger cannot be read"),
    !isCounted ? tile("Dead letters", "unknown", "they cannot be counted")
      : tile("Dead letters", letters ? el("a", { href: "#/dead-letters" }, number(letters)) : "none open",
        letters ? "wait for a decision" : ""));
}

const tile = (name, value, note) => el("div", { class: "tile" }, el("dt", {}, name),
  el("dd", {}, el("span", { class: "tile-value" }, value),
  el("span", { class: "tile-note" }, note)));

function running(all) {
  const active = all.jobs.map((job) => job.active).filter(Boolean).map((run) => store.runs.get(run.runId) ?? run).filter((run) =>
    isActive(run.state));
  if (!active.length) return null;
  return el("section", { class: "panel running", "aria-labelledby": "running-title", "data-key": "running" },
    el("h2", { id: "running-title" }, "Running now"),
    active.map((run) => el("div", { class: "running-run", "data-key": run.runId },
      el("div", { class: "running-head" }, stateBadge(run.state, run.dryRun),
      runLink(run.runId, el("strong", {}, jobTitle(run.job)))), progressBar(run))));
}

function progressBar(run) {
  const progress = run.progress ?? {};
  const total = progress.total, read = progress.read ?? 0;
  const parts = [progress.waiting ? "waiting" : progress.stage ?? run.state,
    total ? `${number(read)} of about ${number(total)}` : plural(read, "row"), `${number(progress.written ?? 0)} written`,
    progress.rowsPerSecond > 0 && `${number(Math.round(progress.rowsPerSecond))} rows/s`,
    progress.etaSeconds > 0 && `about ${duration(progress.etaSeconds)} left`,
    progress.retries > 0 && plural(progress.retries, "retry", "retries")].filter(Boolean);
  return el("div", { class: "progress", "data-key": "progress" },
    el("progress", { max: total ? Math.max(total, read) : null, value: total ? read : null,
      "aria-label": `Progress of ${jobTitle(run.job)}` }),
    el("p", { class: "progress-words" }, parts.join(" · ")));
}

function jobTable(all) {
  if (!all.jobs.length) return empty("No job is configured.",
    "Set PRODUCT_SERVICE_MONGODB_URL and CART_DB_URL, then start the daemon again.");
  // Without the ledger nothing is known of runs and schedules, which is not to say that there are none.
  const none = (word) => el("span", { class: "muted" }, all.scheduler ? word : "–");
  return el("section", { class: "panel", "aria-labelledby": "jobs-title", "data-key": "jobs" },
    el("h2", { id: "jobs-title" }, "Jobs"),
    el("div", { class: "scroll" }, el("table", { class: "cards jobs" },
      el("thead", {}, el("tr", {}, ["Job", "State", "Last proved", "Next fire", "Drift", "Lag", "Dead letters", ""].map((name) =>
        el("th", { scope: "col", class: ["Lag", "Dead letters"].includes(name) ? "figure-cell" : null },
          name || el("span", { class: "visually-hidden" }, "Actions"))))),
      el("tbody", {}, all.jobs.map((job) => {
        const active = job.active && isActive((store.runs.get(job.active.runId) ?? job.active).state) ? job.active : null;
        const last = active ?? job.lastRun;
        return el("tr", { "data-key": job.job },
          el("th", { scope: "row" }, jobTitle(job.job), job.documentation && documentationOf(job)),
          cell("State", null, last ? runLink(last.runId, stateBadge(last.state, last.dryRun)) : none("has not run")),
          cell("Last proved", null, job.lastProved ? time(job.lastProved.finishedAt, { relative: true }) : none("never"),
            job.isOverdue && el("span", { class: "tag warn" }, "overdue")),
          cell("Next fire", null, job.isPaused ? el("span", { class: "tag warn" }, "paused")
            : job.nextFire ? time(job.nextFire, { relative: "until" })
            : none(!job.isScheduled ? "on demand" : all.scheduler?.enabled ? "nothing due" : "scheduler off")),
          cell("Drift", null, driftFigures(job.drift)),
          cell("Lag", "figure-cell", job.lastProved ? duration(secondsSince(job.lastProved.startedAt ?? job.lastProved.finishedAt)) : "–"),
          cell("Dead letters", "figure-cell", job.openDeadLetters ? el("a",
            { href: `#/dead-letters?job=${encodeURIComponent(job.job)}` }, number(job.openDeadLetters)) : number(job.openDeadLetters)),
          el("td", { class: "act" }, job.options.includes("dryRun")
            ? actButton("Dry run", "etl:write", () => dryRun(job.job),
            { "aria-label": `Dry run of ${jobTitle(job.job)}`, "data-act": `dry-${job.job}` })
            : actButton("Run…", "etl:write", () => runWithoutPreview(job.job), { "aria-label": `Run ${jobTitle(job.job)}` })));
      })))));
}

// A page of another tool's making. A link carries no token, so with one the page is fetched and kept as a file.
function documentationOf(job) {
  if (!session.token) {
    return el("a", { class: "documentation", href: job.documentation, target: "_blank", rel: "noopener" }, "Documentation");
  }
  return actButton("Documentation", "etl:read", () => act(`documentation ${job.job}`, async () => {
    const file = URL.createObjectURL(new Blob([await api.page(job.documentation)], { type: "text/html" }));
    el("a", { href: file, download: `${job.job}-documentation.html` }).click();
    URL.revokeObjectURL(file);
    announce("The documentation was saved as a file.");
  }), { class: "quiet documentation", "aria-label": `Documentation of ${jobTitle(job.job)}` });
}

function driftFigures(drift) {
  if (!drift) return el("span", { class: "muted" }, "–");
  const kinds = ["missing", "stale", "orphaned"].filter((kind) => drift[kind] > 0);
  if (!kinds.length) return el("span", { class: "tag ok" }, "none");
  return el("span", { class: "drift" }, kinds.map((kind) => el("span", { class: `tag warn` }, `${number(drift[kind])} ${kind}`)));
}
