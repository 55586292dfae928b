// What changes something: asked for in words first, sent once, shown at once.

// Opens a dialog and answers with what was chosen; null when it was left.
function openDialog(title, content, choices) {
  return new Promise((resolve) => {
    let chosen = null;
    const dialog = el("dialog", { class: "dialog", "aria-labelledby": "dialog-title" });
    const form = el("form", { method: "dialog", novalidate: true },
      el("h2", { id: "dialog-title" }, title), el("div", { class: "dialog-body" }, content),
      el("div", { class: "dialog-choices" },
        el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Leave it"),
        choices.map((choice) => el("button", { type: "button", class: choice.className ?? "primary", "data-choice": choice.value,
          onclick: () => { if (choice.check
            && !choice.check()) return; chosen = choice.value; dialog.close(); } }, choice.label))));
    dialog.append(form);
    dialog.addEventListener("close", () => { dialog.remove(); resolve(chosen); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// One action at a time under one name: a second click finds it under way.
const underWay = new Set();

async function act(name, work) {
  if (underWay.has(name)) return;
  underWay.add(name);
  document.body.classList.add("busy");
  try {
    await work();
  } catch (error) {
    if (error instanceof Refused && error.kind === "run-active" && error.problem.runId) {
      announce("A run of this job is going; this is it.", true);
      show(`#/run/${error.problem.runId}`);
    } else {
      announce(error.message, true);
    }
  } finally {
    underWay.delete(name);
    if (!underWay.size) document.body.classList.remove("busy");
    refreshAll();
  }
}

const show = (hash) => { location.hash = hash; };

// The first of two steps: compares and writes nothing, so it needs no question.
function dryRun(job) {
  const key = `console-dry-${randomKey()}`;
  act(`dry ${job}`, async () => {
    const answer = await api.start(job, { dryRun: true }, key);
    announce(`A dry run of ${jobTitle(job)} began.`);
    show(`#/run/${answer.runId}`);
  });
}

// The second: the key follows from the preview, so two tabs that confirm the same one start one run.
async function confirmPreview(run) {
  const counts = run.summary?.counts ?? {};
  const words = counts.missingProducts === undefined ? el("p", {}, `${jobTitle(run.job)} runs for real.`)
    : el("ul", {}, el("li", {}, `${plural(counts.missingProducts, "row")} will be inserted`),
      el("li", {}, `${plural(counts.staleProducts, "row")} will be updated`),
      el("li", {}, `${plural(counts.orphanedProducts, "orphan")}: left, marked or deleted as SYNC_ORPHANS says`));
  const chosen = await openDialog(`Run ${jobTitle(run.job)} for real?`,
    [words, el("p", { class: "muted" }, "The run compares again and writes what differs then. Confirming twice starts it once.")],
    [{ value: "run", label: "Run it" }]);
  if (chosen) act(`confirm ${run.runId}`, async () => {
    const answer = await api.start(run.job, run.options ?? {}, `console-confirm-${run.runId}`);
    announce(`${jobTitle(run.job)} began.`);
    show(`#/run/${answer.runId}`);
  });
}

async function runWithoutPreview(job) {
  const key = `console-run-${randomKey()}`;
  const chosen = await openDialog(`Run ${jobTitle(job)}?`,
    el("p", {}, "This job knows no dry run: it does its work at once."), [{ value: "run", label: "Run it" }]);
  if (chosen) act(`run ${job}`, async () => {
    const answer = await api.start(job, {}, key);
    show(`#/run/${answer.runId}`);
  });
}

async function cancelRun(run) {
  const chosen = await openDialog(`Cancel this run of ${jobTitle(run.job)}?`,
    el("p", {}, "What it has committed stays; the next run goes on from there."), [{ value: "cancel", label: "Cancel the run",
      className: "danger" }]);
  if (chosen) act(`cancel ${run.runId}`, async () => {
    await api.cancel(run.runId);
    announce("The run is being cancelled.");
  });
}

function pauseSchedule(schedule, isPaused) {
  act(`schedule ${schedule.job}`, async () => {
    await api.schedule(schedule.job, isPaused);
    announce(`The schedule of ${jobTitle(schedule.job)} is ${isPaused ? "paused" : "resumed"}.`);
  });
}

async function switchScheduler(isOn) {
  if (!isOn) {
    const chosen = await openDialog("Switch the scheduler off?",
      el("p", {}, "No job starts by itself on any replica until it is switched on again. Runs under way go on."),
      [{ value: "off", label: "Switch it off", className: "danger" }]);
    if (!chosen) return;
  }
  act("scheduler", async () => {
    await api.scheduler(isOn);
    announce(`The scheduler is ${isOn ? "on" : "off"}.`);
  });
}

async function retryLetters(letters, all) {
  const jobs = [...new Set(letters.map((letter) => letter.job))];
  const job = jobs.length === 1 ? jobs[0] : null;
  const key = `console-retry-${randomKey()}`;
  const what = letters.length === 1 && !all ? el("p", {}, "Record ", data(letters[0].key),
    ` of ${jobTitle(letters[0].job)} will be tried again.`)
    : el("p", {}, `${all ? "Every open dead letter" : plural(letters.length, "record")}${job ? ` of ${jobTitle(job)}` : ""} will be tried again.`);
  const chosen = await openDialog("Try again?",
    [what, el("p", { class: "muted" }, "Only the next run tries; a record that still does not fit comes back as a dead letter.")],
    [{ value: "mark", label: "With the next run", className: "quiet" }, ...(job ? [{ value: "run", label: "Try now" }] : [])]);
  if (!chosen) return;
  act("retry letters", async () => {
    if (all) await api.retryLetters(job);
    else for (const letter of letters) await api.retryLetter(letter.id);
    announce("Marked to be tried again.");
    if (chosen === "run") {
      const answer = await api.start(job, {}, key);
      show(`#/run/${answer.runId}`);
    }
  });
}

async function discardLetter(letter) {
  const chosen = await openDialog("Discard this dead letter?",
    [el("p", {}, "Record ", data(letter.key), " is forgotten. If it still does not fit, the next run reports it again.")],
    [{ value: "discard", label: "Discard it", className: "danger" }]);
  if (chosen) act(`discard ${letter.id}`, async () => {
    await api.discardLetter(letter.id);
    announce("The dead letter was discarded.");
  });
}

// Asks where to, then says what will be read again before anything moves.
async function moveWatermark(mark) {
  const isTimed = mark.cursorTs !== null;
  const input = el("input", { id: "position", name: "position", required: true, type: isTimed ? "datetime-local" : "text",
    step: 1,
    autocomplete: "off", maxlength: 200 });
  input.value = isTimed ? localInput(new Date(secondsOf(mark.cursorTs) * 1000 - 86400000)) : mark.cursorValue ?? "";
  const fault = el("p", { class: "fault", role: "alert" });
  const position = () => (isTimed ? new Date(input.value) : input.value.trim());
  const check = () => {
    const isGood = isTimed ? !Number.isNaN(position().getTime())
      && position().getTime() / 1000 < secondsOf(mark.cursorTs) : position() !== "";
    fault.textContent = isGood ? "" : isTimed ? "Choose an instant before the present position." : "Say where the next run begins.";
    if (!isGood) input.focus();
    return isGood;
  };
  const first = await openDialog("Move the watermark back", [
    el("dl", { class: "fields" }, field("Position now", positionWords(mark))),
    el("label", { for: "position" }, isTimed ? `New position, ${viewerZone}` : "New position"), input, fault,
  ], [{ value: "next", label: "What would that read?", check }]);
  if (!first) return;
  const target = isTimed ? { cursorTs: position().toISOString() } : { cursorValue: position() };
  const stretch = isTimed ? secondsOf(mark.cursorTs) - position().getTime() / 1000 : null;
  const second = await openDialog("Read this again?", [
    el("p", {}, "The next run of ", data(`${mark.source} / ${mark.table}`), " reads again ",
      isTimed ? [`everything that changed since `, time(target.cursorTs),
        `: ${duration(stretch)} of changes`] : ["everything behind ", data(target.cursorValue)],
      mark.accountId ? [" of account ", data(mark.accountId)] : "", "."),
    el("p", { class: "muted" },
      "Rows that are the same are written the same: nothing is doubled. It costs time and the source's rate limit."),
  ], [{ value: "move", label: "Move it back" }]);
  if (second) act("watermark", async () => {
    await api.moveWatermark(mark, target);
    announce("The watermark was moved. The next run reads from there.");
    await operate.loadWatermarks();
  });
}

const localInput = (date) => new Date(date.getTime() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
