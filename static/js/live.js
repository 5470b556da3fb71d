/* Live pages. <body data-live-url="/ws/live/t/acme/"> opens a socket that says which ids changed; every element with
   data-live="check:1 outage:*" then gets the event `live` (hx-trigger="live") and fetches itself again. While no socket
   can be had, everything is fetched every ten seconds. [data-live-status] shows which of the two is going on. */

import { liveElements } from "./live-elements.js";
import { keepFocus } from "./live-focus.js";
import { openLine } from "./live-line.js";

const PATIENCE_MS = 5000;
const POLL_MS = 10000;

function startLive({ liveUrl, liveJitter = "0", livePageAge = "0", liveRest = "10" }) {
  const elements = liveElements({ jitter: Number(liveJitter), rest: Number(liveRest) });
  let lineState = "down";
  let isReachable = true;
  let patience = 0;
  let poll = 0;

  function show() {
    const waiting = poll ? "polling" : "connecting";
    const state = lineState === "up" ? "live" : waiting;
    const status = lineState === "refused" || !navigator.onLine || (state !== "live" && !isReachable) ? "offline" : state;
    document.querySelectorAll("[data-live-status]").forEach((element) => {
      if (element.dataset.liveStatus !== status) {
        element.dataset.liveStatus = status;
      }
    });
  }

  function stopPolling() {
    window.clearTimeout(patience);
    window.clearTimeout(poll);
    patience = 0;
    poll = 0;
  }

  function pollNow() {
    window.clearTimeout(patience);
    window.clearTimeout(poll);
    poll = window.setTimeout(pollNow, POLL_MS * (0.9 + 0.2 * Math.random()));
    elements.touch(["*"]);
    show();
  }

  function onState(state) {
    lineState = state;
    if (state === "up") {
      isReachable = true;
      stopPolling();
    } else if (state === "refused") {
      stopPolling();
    } else if (state === "stalled" && !poll) {
      pollNow();
    } else if (!poll && !patience) {
      patience = window.setTimeout(pollNow, PATIENCE_MS);
    }
    show();
  }

  function reached(yes) {
    isReachable = yes;
    show();
  }

  document.addEventListener("htmx:sendError", () => reached(false));
  document.addEventListener("htmx:timeout", () => reached(false));
  document.addEventListener("htmx:afterRequest", ({ detail }) => detail.xhr.status && reached(detail.xhr.status < 500));
  document.addEventListener("htmx:load", show);
  window.addEventListener("online", show);
  window.addEventListener("offline", show);
  keepFocus();
  patience = window.setTimeout(pollNow, PATIENCE_MS);
  openLine({ url: liveUrl, pageAge: Number(livePageAge) * 1000, onChange: elements.touch, onState });
}

if (document.body.dataset.liveUrl) {
  startLive(document.body.dataset);
} else {
  document.querySelectorAll("[data-live-status]").forEach((element) => (element.hidden = true));
}
