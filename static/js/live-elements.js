/* Which elements fetch themselves again when ids changed, and when it is their turn. */

const RETRY_MS = 300;
const MANY = 500;
const TYPING = "input, textarea, select, [contenteditable]";
const OPEN = "details[data-menu][open], dialog[open], [data-live-hold]";

const kindOf = (id) => id.slice(0, id.indexOf(":") + 1);

/** True when one of the ids is meant by an element's data-live ("check:1 outage:*", or "*" for anything). */
function wants(element, ids, kinds) {
  return element.dataset.live.split(/\s+/).some((wanted) => {
    if (wanted === "*" || ids.has("*") || ids.has(wanted)) {
      return true;
    }
    return wanted.endsWith(":*") ? kinds.has(kindOf(wanted)) : ids.has(`${kindOf(wanted)}*`);
  });
}

/** Make the one place that touches elements: it merges what comes in quickly, and refreshes nothing behind a hidden tab,
    under somebody's hands, or twice at once. */
export function liveElements({ jitter }) {
  const touched = new Set();
  const waiting = new Set();
  const inFlight = new WeakSet();
  let timer = 0;

  function isBusy(element) {
    const isTyping = element.contains(document.activeElement) && document.activeElement.matches(TYPING);
    return inFlight.has(element) || isTyping || element.querySelector(OPEN) !== null;
  }

  function plan(delay) {
    if (!timer && !document.hidden) {
      timer = window.setTimeout(refresh, delay);
    }
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
    for (const element of outermost(all.filter((each) => late.has(each.dataset.live) || wants(each, ids, kinds)))) {
      if (isBusy(element)) {
        waiting.add(element.dataset.live); // by its text: the element itself may be replaced meanwhile
      } else {
        element.dispatchEvent(new CustomEvent("live", { detail: { ids: [...ids] } }));
      }
    }
    if (ids.size) {
      document.dispatchEvent(new CustomEvent(ids.has("*") ? "live:all" : "live:delta", { detail: { ids: [...ids] } }));
    }
    if (waiting.size) {
      plan(RETRY_MS);
    }
  }

  document.addEventListener("htmx:beforeSend", (event) => inFlight.add(event.detail.elt));
  document.addEventListener("htmx:afterRequest", (event) => inFlight.delete(event.detail.elt));
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
