// One run: live while it goes, and all that is known of it after.

const runView = {
  title: "Run",
  id: null,
  error: null,
  log: null,
  letters: [],
  // Values that were asked for, by key; forgotten with the view.
  values: new Map(),
  every: 2500,

  enter(id) {
    if (this.id === id) return;
    Object.assign(this, { id, error: null, log: null, letters: [], values: new Map() });
  },

  async load() {
    const id = this.id;
    const known = store.runs.get(id);
    const isSettled = this.log && known && !isActive(known.state) && this.settledID === id;
    if (isSettled) return;
    const [answer, log] = await Promise.all([api.run(id), api.log(id)]);
    if (this.id !== id) return;
    store.keep(answer.run);
    this.log = log;
    if (!isActive(answer.run.state)) {
      const letters = await api.deadLetters({ job: answer.run.job, limit: 200 });
      this.letters = letters.deadLetters.filter((letter) => letter.runId === id);
      this.settledID = id;
    }
  },

  render() {
    const run = store.runs.get(this.id);
    if (!run) return [heading("Run"), ...waiting(this.error)];
    return [runHead(run), isActive(run.state) && el("section", { class: "panel", "aria-label": "Progress", "data-key": "live" },
      progressBar(run)),
      run.error && errorBox(run), proofBox(run), preview(this, run), countsBox(run), stages(run), warnings(run), lettersBox(this,
        run), logBox(this, run)].filter(Boolean);
  },
};

function runHead(run) {
  const canCancel = isActive(run.state);
  return el("section", { class: "run-head", "data-key": "head" },
    el("div", { class: "heading" }, el("h1", { id: "title" }, jobTitle(run.job), " ",
      el("span", { class: "run-id" }, shortID(run.runId))), stateBadge(run.state, run.dryRun),
      canCancel && actButton("Cancel…", "etl:write", () => cancelRun(run), { class: "quiet" })),
    el("dl", { class: "fields" }, field("Began", time(run.startedAt ?? run.queuedAt, { relative: true })),
      field("Ended", run.finishedAt ? time(run.finishedAt) : "not yet"),
      field("Took", run.duration === undefined ? duration(secondsSince(run.startedAt ?? run.queuedAt))
        : duration(run.duration / 1000)),
      field("Asked for by", data(run.requestedBy), ` · ${run.trigger}`), Object.keys(run.options ?? {}).length > 0
        && field("Options", Object.entries(run.options).map(([name, value]) => [el("code", {}, name), " ", data(String(value)), " "])),
      field("Attempt", number(run.attempt),
        run.resumedFrom && [" · goes on from ", runLink(run.resumedFrom)]), field("Run id", el("code", { class: "whole-id" },
          run.runId))));
}

function errorBox(run) {
  return el("section", { class: "verdict bad", "aria-label": "Error", "data-key": "error" }, verdictIcon("bad"),
    el("div", {}, el("p", { class: "sentence" }, data(run.error.summary)),
    el("p", {}, el("code", {}, run.error.kind), ` in stage ${run.error.stage}`), run.error.remedy
      && el("p", { class: "remedy" }, el("strong", {}, "What to do: "), data(run.error.remedy))));
}

function proofBox(run) {
  if (run.state !== "succeeded" && run.state !== "partial") return null;
  const counts = run.summary?.counts ?? {};
  const compares = counts.missingProducts !== undefined;
  const differs = (counts.missingProducts ?? 0) + (counts.staleProducts ?? 0) + (counts.orphanedProducts ?? 0) > 0;
  const sentence = run.state === "partial" ? "Done but for the dead letters below."
    : run.dryRun ? (!compares ? "The dry run went through; nothing was written."
      : differs ? "The sides differ. Nothing was written." : counts.newerInTarget ? `Nothing is missing, stale or orphaned; ${number(counts.newerInTarget)} newer in the target.`
        : "Both sides hold the same.")
      : compares ? `Both sides were compared and ${plural(counts.syncedProducts ?? 0, "row")} written.` : "Done.";
  const level = run.state === "partial" || (run.dryRun && differs) ? "warning" : "ok";
  return el("section", { class: `verdict ${level}`, "aria-label": "Result", "data-key": "proof" }, verdictIcon(level),
    el("div", {}, el("p", { class: "sentence" }, sentence),
    el("p", { class: "proof" }, `Proved by ${PROOFS[run.summary?.proof] ?? run.summary?.proof ?? "nothing"}, `,
      time(run.finishedAt, { relative: true }))));
}

function preview(view, run) {
  if (!run.dryRun || run.state !== "succeeded") return null;
  const details = run.summary?.details ?? {}, counts = run.summary?.counts ?? {};
  const idList = (name, ids, total) => ids?.length > 0 && el("details", { "data-key": name },
    el("summary", {}, `${name}: ${number(total)}`, ids.length < total
    && el("span", { class: "muted" }, ` (the first ${ids.length})`)),
    el("ul", { class: "ids" }, ids.map((id) => el("li", {}, data(id, "id")))));
  const staleRows = details.staleProducts ?? [];
  return el("section", { class: "panel", "aria-labelledby": "preview-title", "data-key": "preview" },
    el("div", { class: "heading" }, el("h2", { id: "preview-title" }, "What a run would change"),
      actButton("Run for real…", "etl:write", () => confirmPreview(run), { class: "primary", "data-act": "confirm" })),
    counts.missingProducts !== undefined && el("dl", { class: "strip" },
      tile("Insert", number(counts.missingProducts), "missing in the target"), tile("Update", number(counts.staleProducts),
      "stale in the target"),
      tile("Orphans", number(counts.orphanedProducts), "as SYNC_ORPHANS says"), tile("Leave", number(counts.unchangedProducts),
        "the same on both sides")),
    idList("Missing", details.missingProductIds, counts.missingProducts), idList("Orphaned", details.extraProductIds,
      counts.orphanedProducts),
    listed(details.changedDays, "Days that would change", (day) => data(day)),
    listed(details.measuresOff, "Measures that are off", (one) => [el("code", {}, data(one.measure)), " ", data(one.reason)]),
    staleRows.length > 0 && el("details", { open: staleRows.length <= 20, "data-key": "stale" },
      el("summary", {}, `Stale: ${number(counts.staleProducts)}`,
      staleRows.length < counts.staleProducts && el("span", { class: "muted" }, ` (the first ${staleRows.length})`)),
    el("div", { class: "scroll" }, el("table", { class: "cards" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Key"), el("th", { scope: "col" }, "Columns that differ"),
      el("th", { scope: "col" }, "Values"))),
      el("tbody", {}, staleRows.map((row) => el("tr", { "data-key": row.id }, el("th", { scope: "row" }, data(row.id, "id")),
        cell("Columns", null, row.columns.map((column) => [el("code", {}, data(column)), " "])), cell("Values", null,
          valuesCell(view, row.id)))))))));
}

const listed = (list, name, words) => list?.length > 0 && el("details", { open: list.length <= 20, "data-key": name },
  el("summary", {}, `${name}: ${number(list.length)}`), el("ul", { class: "ids" }, list.map((one) => el("li", {}, words(one)))));

// Values of rows are personal: asked for one at a time, by those who may, and dropped when the view is left.
function valuesCell(view, key) {
  const shown = view.values.get(key);
  if (!shown) {
    return actButton("Show values", "etl:admin", () => act(`values ${key}`, async () => {
      const answer = await api.difference(view.id, key);
      if (runView.id === view.id) view.values.set(key, answer.difference);
      render();
    }), { class: "quiet", "aria-label": `Show the values of ${key}` });
  }
  const hide = el("button", { type: "button", class: "quiet", onclick: () => { view.values.delete(key); render(); } }, "Hide");
  if (!shown.columns.length) {
    const words = { equal: "By now both sides hold the same.", absent: "By now neither side has it.",
      rejected: `The document does not fit: ${shown.reason}` };
    return el("div", { class: "values" }, el("p", {}, data(words[shown.verdict] ?? shown.verdict)), hide);
  }
  return el("div", { class: "values" }, el("table", {}, el("thead", {},
    el("tr", {}, ["Column", "Source", "Target"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, shown.columns.map((column) => el("tr", {}, el("th", { scope: "row" }, data(column.column)),
      [column.source, column.target].map((value) =>
      el("td", {}, value === null ? el("span", { class: "muted" }, "NULL") : data(value, "value"))))))), hide);
}

const COUNT_WORDS = {
  totalProductsInSource: "in the source", totalProductsInTarget: "in the target", missingProducts: "missing", staleProducts: "stale", orphanedProducts: "orphaned",
  unchangedProducts: "unchanged", insertedProducts: "inserted", updatedProducts: "updated", deletedProducts: "deleted", markedProducts: "marked",
  newerInTarget: "newer in the target", changedMeanwhile: "changed meanwhile", deadLetters: "dead letters", batches: "batches", orphansDeferred: "orphans deferred", syncedProducts: "written",
  orphansMarkedBefore: "orphans marked before", orphansKept: "orphans that could not go", writtenAgain: "written again",
};

function countsBox(run) {
  const counts = run.summary?.counts ?? {};
  const order = Object.keys(COUNT_WORDS);
  const names = Object.keys(counts).sort((one, other) => (order.indexOf(one) + 1 || 99) - (order.indexOf(other) + 1 || 99));
  if (!names.length) return null;
  const retries = run.summary?.retries ?? run.progress?.retries;
  return el("section", { class: "panel", "aria-labelledby": "counts-title", "data-key": "counts" },
    el("h2", { id: "counts-title" }, "Counts"),
    el("dl", { class: "counts" }, names.map((name) => el("div", { class: counts[name] ? null : "zero" },
      el("dt", {}, COUNT_WORDS[name] ?? jobTitle(name)), el("dd", {}, number(counts[name])))),
      retries !== undefined && el("div", { class: retries ? null : "zero" }, el("dt", {}, "retries"),
        el("dd", {}, number(retries)))));
}

function stages(run) {
  const marks = run.progress?.stages ?? [];
  if (!marks.length) return null;
  const end = run.duration !== undefined ? run.duration / 1000 : secondsSince(run.startedAt ?? run.queuedAt);
  return el("section", { class: "panel", "aria-labelledby": "stages-title", "data-key": "stages" },
    el("h2", { id: "stages-title" }, "Stages"),
    el("ol", { class: "stages" }, marks.map((mark, index) => {
      const isLast = index === marks.length - 1;
      const seconds = Math.max(0, (isLast ? end : marks[index + 1].atSeconds) - mark.atSeconds);
      const read = (isLast ? run.progress.read : marks[index + 1].read) - mark.read;
      return el("li", { class: isLast && isActive(run.state) ? "now" : null },
        el("span", { class: "stage-name" }, data(mark.name)), el("span", { class: "muted" }, duration(seconds),
        read > 0 && ` · ${number(read)} read`));
    })));
}

function warnings(run) {
  const list = run.summary?.details?.errors ?? [];
  if (!Array.isArray(list) || !list.length) return null;
  return el("section", { class: "panel", "aria-labelledby": "warnings-title", "data-key": "warnings" },
    el("h2", { id: "warnings-title" }, "Warnings"),
    el("ul", {}, list.map((text) => el("li", {}, data(String(text))))));
}

function lettersBox(view, run) {
  if (!view.letters.length) return null;
  return el("section", { class: "panel", "aria-labelledby": "letters-title", "data-key": "letters" },
    el("div", { class: "heading" }, el("h2", { id: "letters-title" }, "Dead letters of this run"),
    el("a", { href: `#/dead-letters?job=${encodeURIComponent(run.job)}` }, "All of this job")), letterTable(view.letters.slice(0,
      50)));
}

function logBox(view, run) {
  const lines = view.log?.lines ?? [];
  return el("section", { class: "panel", "aria-labelledby": "log-title", "data-key": "log" },
    el("h2", { id: "log-title" }, "Log"),
    lines.length === 0 ? empty("No line of this run is kept here.",
      "Lines stay in the memory of the process that ran it. Elsewhere: search your logs for run_id ", el("code", {},
      run.runId), ".")
      : el("ol", { class: "log", tabindex: 0, "aria-label": "Log lines" },
        view.log.dropped > 0 && el("li", { class: "muted" }, `${plural(view.log.dropped, "older line")} let go`),
        lines.map((line) => el("li", { class: line.level }, el("time", { datetime: line.at, title: utcTime(line.at) },
          localTime(line.at)), el("span", { class: "level" }, line.level),
          el("span", { class: "message" }, data(line.message), Object.entries(line.keys).sort().map(([name, value]) =>
            el("span", { class: "key" }, ` ${name}=`, data(value))))))));
}
