/* Which elements fetch themselves again when ids changed, and when it is their turn. */

const RETRY_MS = 300;
const LONGEST_PAUSE_MS = 30000;
const MANY = 500;
const TYPING = "input, textarea, select, [contenteditable]";
// What is open, pressed or under way: an answer would find the place gone that it is for.
const OPEN = "details[data-menu][open], dialog[open], [data-live-hold], .htmx-request, :active";

/** Elements are remembered by name, since a fetch may replace them. */
const nameOf = (element) => element.id || element.dataset.live;
const kindOf = (id) => id.slice(0, id.indexOf(":") + 1);

const isLive = ({ requestConfig }) => requestConfig.triggeringEvent?.type === "live";

/** True when one of the ids is meant by an element's data-live ("check:1 outage:*", or "*" for anything). */
function wants(element, ids, kinds) {
  if (!ids.size) {
    return false;
  }
  return element.dataset.live.split(/\s+/).some((wanted) => {
    if (wanted === "*" || ids.has("*") || ids.has(wanted)) {
      return true;
    }
    return wanted.endsWith(":*") ? kinds.has(kindOf(wanted)) : ids.has(`${kindOf(wanted)}*`);
  });
}

/** Make the one place that has elements fetched: it merges what comes in quickly, and fetches nothing behind a hidden tab,
    under somebody's hands, or twice at once. After a fetch an element rests `rest` times as long as the fetch took, so
    that open pages ask a busy server less often. */
export function liveElements({ jitter, rest }) {
  const touched = new Set();
  const waiting = new Set();
  const sentAt = new WeakMap();
  const aims = new Map(); // what people's requests under way will change, by request
  const overtaken = new WeakSet(); // changed by somebody while their own fetch was under way
  const restsUntil = new Map();
  let timer = 0;
  let due = 0;

  function plan(delay) {
    const at = performance.now() + delay;
    if (document.hidden || (timer && due <= at)) {
      return;
    }
    window.clearTimeout(timer);
    due = at;
    timer = window.setTimeout(refresh, delay);
  }

  /** True while somebody has hands on it, or waits for what a filter or a button beside it will put there: whoever
      replaced it now would leave that answer no place. */
  function isHeld(element) {
    const isTyping = element.contains(document.activeElement) && document.activeElement.matches(TYPING);
    const isAwaited = [...aims.values()].some((target) => element.contains(target));
    return isTyping || isAwaited || element.querySelector(OPEN) !== null;
  }

  /** Remember what a person's request will change: a live answer that was asked for before knows nothing of it. */
  function aim({ xhr, target }) {
    aims.set(xhr, target);
    xhr.addEventListener("loadend", () => aims.delete(xhr));
    for (let up = target; up; up = up.parentElement) {
      if (sentAt.has(up)) {
        overtaken.add(up);
      }
    }
  }

  /** Milliseconds until the element may be fetched; 0 for now. */
  function pause(element) {
    if (sentAt.has(element) || isHeld(element)) {
      return RETRY_MS;
    }
    return Math.max((restsUntil.get(nameOf(element)) ?? 0) - performance.now(), 0);
  }

  /** An element inside another one that is fetched anyway comes back with it. */
  function outermost(elements) {
    const parents = new Set(elements.filter((element) => element.hasAttribute("hx-get")));
    return elements.filter((element) => {
      for (let up = element.parentElement; up; up = up.parentElement) {
        if (parents.has(up)) {
          return false;
        }
      }
      return true;
    });
  }

  function refresh() {
    timer = 0;
    const ids = new Set(touched);
    const kinds = new Set([...ids].map(kindOf));
    const late = new Set(waiting);
    touched.clear();
    waiting.clear();
    const all = [...document.querySelectorAll("[data-live]")];
    for (const element of outermost(all.filter((each) => late.has(nameOf(each)) || wants(each, ids, kinds)))) {
      const delay = pause(element);
      if (delay) {
        waiting.add(nameOf(element));
        plan(delay);
      } else {
        element.dispatchEvent(new CustomEvent("live", { detail: { ids: [...ids] } }));
      }
    }
    if (ids.size) {
      document.dispatchEvent(new CustomEvent(ids.has("*") ? "live:all" : "live:delta", { detail: { ids: [...ids] } }));
    }
  }

  // Somebody may have begun while the answer was on its way: it is thrown away, and asked for again afterwards.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const element = detail.requestConfig.elt;
    if (element.dataset.live && isLive(detail) && (overtaken.has(element) || isHeld(element))) {
      detail.shouldSwap = false;
      waiting.add(nameOf(element));
      plan(RETRY_MS);
    }
  });
  // The event of an element that its own answer replaced is told to a parent, hence requestConfig.
  document.addEventListener("htmx:beforeSend", ({ detail }) => {
    const element = detail.requestConfig.elt;
    if (!isLive(detail)) {
      aim(detail);
    }
    overtaken.delete(element);
    sentAt.set(element, performance.now());
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const element = detail.requestConfig.elt;
    if (element.dataset.live && sentAt.has(element)) {
      const now = performance.now();
      restsUntil.set(nameOf(element), now + Math.min((now - sentAt.get(element)) * rest, LONGEST_PAUSE_MS));
    }
    sentAt.delete(element);
  });
  document.addEventListener("visibilitychange", () => {
    if (touched.size || waiting.size) {
      plan(Math.random() * jitter);
    }
  });

  return {
    touch(ids) {
      ids.forEach((id) => touched.add(id));
      if (touched.size > MANY) {
        touched.add("*");
      }
      if (touched.size) {
        plan(Math.random() * jitter);
      }
    },
  };
}
