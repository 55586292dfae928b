// The daemon's news: one stream for all tabs of a browser, held by whichever visible tab has the lock.
//
// Without locks (a page that is not on localhost or https) each visible tab has its own. A daemon that has too many
// watchers already is asked every ten seconds instead.

const SILENCE_MAX = 40000;

const feed = {
  // live, polling, connecting or lost
  status: "connecting",
  lostAt: null,
  listeners: new Set(),
  control: null,
  channel: null,
  // This tab has the lock; its stream is open.
  holds: false,
  isOpen: false,

  start() {
    if (this.control || session.asks || document.hidden) return;
    const control = new AbortController();
    this.control = control;
    this.openChannel();
    const held = () => this.hold(control.signal);
    if (navigator.locks) navigator.locks.request(this.name, { signal: control.signal }, held).catch(() => {});
    else held();
  },

  stop() {
    this.control?.abort();
    this.control = null;
    this.channel?.close();
    this.channel = null;
  },

  // Tabs with different tokens share nothing.
  get name() {
    let hash = 5381;
    for (const character of session.token) hash = ((hash * 33) ^ character.codePointAt(0)) >>> 0;
    return `tallyman-events-${hash.toString(36)}`;
  },

  openChannel() {
    if (!("BroadcastChannel" in window)) return;
    this.channel = new BroadcastChannel(this.name);
    this.channel.onmessage = ({ data: message }) => {
      if (message.run) this.tell(message.run);
      if (message.status) this.become(message.status);
      if (message.hello && this.holds) this.channel.postMessage({ status: this.status });
    };
    this.channel.postMessage({ hello: true });
  },

  tell(run) { for (const listener of this.listeners) listener(run); },

  become(status) {
    if (this.status === status) return;
    const before = this.status;
    this.status = status;
    this.lostAt = status === "lost" ? new Date(Date.now() + clockSkew).toISOString() : null;
    if (status === "lost") announce("Connection lost. What you see is old.");
    if (before === "lost" && status !== "lost") {
      announce("Connected again.");
      refreshAll();
    }
    render();
  },

  share(message) {
    this.channel?.postMessage(message);
    if (message.run) this.tell(message.run);
    if (message.status) this.become(message.status);
  },

  // The daemon answered another request: then only a stream of our own can still be lost.
  answered() {
    if (this.status === "lost" && (this.isOpen || !this.holds)) this.become("live");
  },

  async hold(signal) {
    this.holds = true;
    signal.addEventListener("abort", () => { this.holds = false; }, { once: true });
    let pause = 500;
    while (!signal.aborted) {
      try {
        await this.read(signal);
        pause = 500;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refused && error.kind === "too-many-watchers") {
          this.share({ status: "polling" });
          pause = 10000;
          refreshAll();
        } else if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
          return;
        } else {
          this.share({ status: "lost" });
        }
      }
      await sleep(pause, signal);
      pause = Math.min(5000, pause * 1.5);
    }
  },

  async read(signal) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MAX);
    try {
      const headers = { Accept: "text/event-stream" };
      if (session.header) headers.Authorization = session.header;
      const response = await fetch("/api/etl/events", {
        headers, cache: "no-store", redirect: "error", signal: AbortSignal.any([signal, silence.signal]),
      });
      if (!response.ok) {
        const problem = await response.json().catch(() => null);
        if (response.status === 401) askForToken(problem);
        throw new Refused(response.status, problem);
      }
      this.isOpen = true;
      this.share({ status: "live" });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) throw new Unreachable("The stream ended.");
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MAX);
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        for (const event of events) this.take(event);
      }
    } finally {
      this.isOpen = false;
      clearTimeout(timer);
    }
  },

  take(event) {
    const text = event.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
    if (text) this.share({ run: JSON.parse(text) });
  },
};

const sleep = (milliseconds, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, milliseconds);
  signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});
