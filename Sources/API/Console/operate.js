// Schedules, watermarks and dead letters.

const operate = {
  watermarks: null,
  letters: null,
  async loadWatermarks() {
    const answer = await api.watermarks();
    Object.assign(this, { watermarks: answer.watermarks, moreWatermarks: answer.truncated });
    render();
  },
};

const schedules = {
  title: "Schedules",
  render() {
    const scheduler = store.overview?.scheduler;
    if (!store.overview) return [heading("Schedules"), ...waiting(store.overviewError)];
    if (!scheduler) return [heading("Schedules"), failure(new Error(store.overview.verdict.sentence))];
    const who = scheduler.changedBy && el("p", { class: "muted" }, `Switched ${scheduler.enabled ? "on" : "off"} by `,
      data(scheduler.changedBy), ", ", time(scheduler.changedAt, { relative: true }));
    const level = scheduler.isRunning ? "ok" : "warning";
    return [heading("Schedules"),
      el("section", { class: `verdict ${level} small`, "data-key": "switch" }, verdictIcon(level),
        el("div", {}, el("p", { class: "sentence" }, scheduler.isRunning ? "The scheduler is on."
          : `The scheduler is ${scheduler.enabled ? "on, but nobody leads it" : "off"}: nothing runs by itself.`), who,
          el("p", { class: "muted" }, scheduler.leader ? ["Led by ", data(scheduler.leader),
            scheduler.isLeader ? " (this daemon)." : " (another replica)."] : "No replica leads it now.")),
        actButton(scheduler.enabled ? "Switch off…" : "Switch on", "etl:write", () => switchScheduler(!scheduler.enabled),
          { class: scheduler.enabled ? "quiet" : "primary", "data-act": "scheduler" })),
      scheduler.schedules.length === 0 ? empty("No job has a schedule.", "Set SYNC_CRON_SCHEDULE or another job's cron setting.")
        : el("div", { class: "schedule-list", "data-key": "list" }, scheduler.schedules.map(scheduleCard))];
  },
};

const POLICIES = {
  overlap: { skip: "a fire during a run is skipped", queue: "a fire during a run waits" },
  misfire: { latest: "of missed fires the latest runs", none: "missed fires are dropped",
    all: "every missed fire runs, up to a bound" },
};

function scheduleCard(schedule) {
  return el("article", { class: `panel schedule${schedule.paused ? " paused" : ""}`, "data-key": schedule.job,
    "aria-label": jobTitle(schedule.job) },
    el("div", { class: "heading" }, el("h2", {}, jobTitle(schedule.job),
      schedule.paused && el("span", { class: "tag warn" }, "paused")),
      actButton(schedule.paused ? "Resume" : "Pause", "etl:write", () => pauseSchedule(schedule, !schedule.paused),
        { "data-act": `pause-${schedule.job}`,
        "aria-label": `${schedule.paused ? "Resume" : "Pause"} ${jobTitle(schedule.job)}` })),
    el("p", { class: "expression" }, el("code", {}, data(schedule.expression)), " ", data(schedule.words)),
    el("dl", { class: "fields" }, field("Zone", data(schedule.timeZone)),
      field("Overlap", POLICIES.overlap[schedule.overlap] ?? schedule.overlap), field("Misfire",
        POLICIES.misfire[schedule.misfire] ?? schedule.misfire),
      field("Jitter", schedule.jitterSeconds ? `up to ${duration(schedule.jitterSeconds)}` : "none"), field("Last fire",
        time(schedule.lastFire, { relative: true })),
      schedule.changedBy && field(schedule.paused ? "Paused by" : "Resumed by", data(schedule.changedBy), ", ",
        time(schedule.changedAt, { relative: true }))),
    el("h3", {}, schedule.paused ? "Would fire next" : "Fires next"), el("ol", { class: "fires" },
      schedule.nextFires.slice(0, 5).map((instant) => el("li", {}, time(instant, { relative: "until" })))));
}

const positionWords = (mark) => [mark.cursorTs && time(mark.cursorTs, { relative: true }),
  mark.cursorValue && data(mark.cursorValue),
  mark.cursorId && el("span", { class: "muted" }, " behind ", data(mark.cursorId))];

const watermarks = {
  title: "Watermarks",
  every: 15000,
  error: null,
  load: () => operate.loadWatermarks(),
  render() {
    const head = heading("Watermarks", el("p", { class: "muted" },
      "How far each source was read. A position moves in the transaction that writes its rows, and back only here."));
    const marks = operate.watermarks;
    if (!marks) return [head, ...waiting(this.error)];
    if (!marks.length) return [head, empty("No position is kept yet.",
      "The first run of a job that reads changes (marketplaces, retail, exports) writes one. The product sync compares everything and needs none.")];
    return [head, operate.moreWatermarks && el("p", { class: "muted", "data-key": "more" },
      "Of each table the last 50 scopes are shown; ", el("code", {}, "tallyman watermarks list --scopes 10000"), " lists all."),
    el("section", { class: "panel", "data-key": "marks", "aria-label": "Watermarks" },
      el("div", { class: "scroll" }, el("table", { class: "cards" },
      el("thead", {}, el("tr", {}, ["Source and table", "Account", "Database", "Position", "Moved",
        ""].map((name) => el("th", { scope: "col" }, name || el("span", { class: "visually-hidden" }, "Actions"))))),
      el("tbody", {}, marks.map((mark) => {
        const key = [mark.database, mark.source, mark.table, mark.accountId, mark.scope].join("/");
        return el("tr", { "data-key": key }, el("th", { scope: "row" }, data(mark.source), " / ", data(mark.table),
          mark.scope && [" · ", data(mark.scope)]), cell("Account", null, data(mark.accountId)),
          cell("Database", null, data(mark.database)), cell("Position", null, positionWords(mark)), cell("Moved", null,
            time(mark.updatedAt, { relative: true })),
          el("td", { class: "act" }, actButton("Move back…", "etl:admin", () => moveWatermark(mark),
            { "aria-label": `Move back ${mark.source} ${mark.table}`, "data-act": "move-back" })));
      })))))];
  },
};

const deadLetters = {
  title: "Dead letters",
  every: 10000,
  error: null,
  job: null,
  enter(_, query) {
    if (this.job !== query.get("job")) operate.letters = null;
    this.job = query.get("job");
  },
  async load() {
    const job = this.job;
    const page = await api.deadLetters(job ? { job, limit: 100 } : { limit: 100 });
    if (job === this.job) operate.letters = { letters: page.deadLetters, next: page.next };
  },
  async more() {
    const page = await api.deadLetters({ ...(this.job ? { job: this.job } : {}), limit: 100, before: operate.letters.next });
    operate.letters = { letters: [...operate.letters.letters, ...page.deadLetters], next: page.next };
    render();
  },
  render() {
    const page = operate.letters;
    const head = heading(this.job ? `Dead letters of ${jobTitle(this.job)}` : "Dead letters",
      this.job && el("a", { href: "#/dead-letters" }, "All jobs"),
      page?.letters.length > 0 && actButton("Retry all…", "etl:write", () => retryLetters(page.letters, true),
        { class: "quiet" }));
    if (!page) return [head, ...waiting(this.error)];
    if (!page.letters.length) return [head, empty("No dead letter is open.",
      "A record that does not fit its table would wait here with its reason, while the rest of its batch is written.")];
    return [head, el("section", { class: "panel", "data-key": "letters", "aria-label": "Dead letters" },
      letterTable(page.letters),
      page.next && el("button", { type: "button", class: "quiet more",
        onclick: () => this.more().catch((error) => announce(error.message, true)) }, "Older ones"))];
  },
};

function letterTable(letters) {
  return el("div", { class: "scroll" }, el("table", { class: "cards" },
    el("thead", {}, el("tr", {}, ["Key", "Reason", "Times", "First and last seen", "Run", ""].map((name) =>
    el("th", { scope: "col", class: name === "Times" ? "figure-cell" : null },
      name || el("span", { class: "visually-hidden" }, "Actions"))))),
  el("tbody", {}, letters.map((letter) => el("tr", { "data-key": letter.id },
    el("th", { scope: "row" }, data(letter.key, "id"), el("span", { class: "under muted" }, jobTitle(letter.job))),
    cell("Reason", "reason", data(letter.reason), el("span", { class: "under muted" }, el("code", {}, letter.kind),
      letter.columns.length > 0 && [" in ", letter.columns.map((column) => [el("code", {}, data(column)), " "])])),
    cell("Times", "figure-cell", number(letter.occurrences)), cell("Seen", null, time(letter.firstSeenAt),
      el("span", { class: "under" }, time(letter.lastSeenAt, { relative: true }))),
    cell("Run", null, runLink(letter.runId)),
    el("td", { class: "act" }, actButton("Retry…", "etl:write", () => retryLetters([letter]),
      { "aria-label": `Retry ${letter.key}`, "data-act": "retry" }),
      actButton("Discard…", "etl:write", () => discardLetter(letter),
        { class: "quiet", "aria-label": `Discard ${letter.key}`, "data-act": "discard" })))))));
}
