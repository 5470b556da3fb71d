/* The WebSocket: keeps it up, counts the messages, and says which ids changed; "*" when it cannot know. */

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30000;
const REFUSED_RETRY_MS = 60000;
const HANDSHAKE_MS = 10000;
const SILENCE_MS = 65000;
const NOT_FOUND = 4404;
const TOO_MANY = 4429;

/** Open the line. `onChange(ids)` brings news, `onState(state)` is "up", "stalled", "down" or "refused". */
export function openLine({ url, pageAge, onChange, onState }) {
  let socket = null;
  let epoch = "";
  let n = null;
  let failures = 0;
  let retryTimer = 0;
  let deadline = 0;

  function address() {
    const target = new URL(url, window.location.href);
    target.protocol = target.protocol.replace("http", "ws");
    if (n === null) {
      target.searchParams.set("age", Math.ceil(performance.now()) + pageAge);
    } else {
      target.searchParams.set("epoch", epoch);
      target.searchParams.set("n", n);
    }
    return target;
  }

  function expect(milliseconds) {
    window.clearTimeout(deadline);
    deadline = window.setTimeout(() => hangUp(), milliseconds);
  }

  function retryIn(milliseconds) {
    window.clearTimeout(retryTimer);
    retryTimer = window.setTimeout(dial, milliseconds * (0.4 + 0.6 * Math.random()));
  }

  function dial() {
    window.clearTimeout(retryTimer);
    if (socket) {
      return;
    }
    try {
      socket = new WebSocket(address());
    } catch {
      lost({ code: 1006 });
      return;
    }
    const mine = socket;
    expect(HANDSHAKE_MS);
    mine.addEventListener("message", (event) => mine === socket && hear(JSON.parse(event.data)));
    mine.addEventListener("close", (event) => mine === socket && lost(event));
  }

  /** Give the socket up without waiting for an answer: a dead network never sends one. */
  function hangUp() {
    socket?.close();
    lost({ code: 1006 });
  }

  function lost({ code }) {
    socket = null;
    window.clearTimeout(deadline);
    if (code === NOT_FOUND || code === TOO_MANY) {
      onState(code === NOT_FOUND ? "refused" : "down");
      retryIn(REFUSED_RETRY_MS);
    } else {
      onState("down");
      retryIn(Math.min(FIRST_RETRY_MS * 2 ** failures, LAST_RETRY_MS));
      failures += 1;
    }
  }

  function hear(message) {
    expect(SILENCE_MS);
    if (message.type === "stalled") {
      onState("stalled");
      return;
    }
    failures = 0;
    onState("up");
    const ids = news(message);
    epoch = message.epoch;
    n = message.n;
    onChange(ids);
  }

  function news({ type, ids = [], ...message }) {
    const isNext = (message.first ?? message.n) <= n + (type === "delta" ? 1 : 0);
    const isInStep = n !== null && message.epoch === epoch && isNext;
    if (type === "resync" || (type !== "hello" && !isInStep)) {
      return ["*"];
    }
    return ids;
  }

  window.addEventListener("online", () => retryIn(0));
  document.addEventListener("visibilitychange", () => document.hidden || socket || retryIn(0));
  window.addEventListener("pagehide", () => {
    window.clearTimeout(retryTimer); // an open socket would keep the page out of the back/forward cache
    window.clearTimeout(deadline);
    const old = socket;
    socket = null;
    old?.close();
  });
  window.addEventListener("pageshow", (event) => event.persisted && dial());
  dial();
}
