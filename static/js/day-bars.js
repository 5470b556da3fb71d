/* Bars of days: the day under the pointer says what it was; with the focus on them, arrow keys walk from day to day. The
   server sends a letter a day, and words for those that were not simply up; without scripts it is a picture with a list. */

import { hideTip, showTip } from "./tips.js";

const SVG = "http://www.w3.org/2000/svg";
const DAY_MS = 86_400_000;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageUp: -7, PageDown: 7 };

const signs = (bars) => bars.dataset.days;

function dateWords(bars, place) {
  const last = Date.parse(`${bars.dataset.lastDay}T00:00:00Z`);
  const moment = last - (signs(bars).length - 1 - place) * DAY_MS;
  const language = document.documentElement.lang || "en";
  return new Intl.DateTimeFormat(language, { day: "numeric", month: "long", timeZone: "UTC" }).format(moment);
}

/** What a day was: its date and the rest. */
function wordsOf(bars, place) {
  const told = bars.parentElement.querySelector(`[data-day="${place}"]`)?.textContent;
  const date = dateWords(bars, place);
  const { wordGood, wordNone } = bars.dataset;
  return [date, told ? told.slice(told.indexOf(": ") + 2) : signs(bars)[place] === "n" ? wordNone : wordGood];
}

function mark(bars, place) {
  const picture = bars.firstElementChild;
  let cursor = picture.querySelector(".uptime__cursor");
  if (place === null) {
    cursor?.remove();
    return;
  }
  if (!cursor) {
    cursor = document.createElementNS(SVG, "rect");
    cursor.setAttribute("class", "uptime__cursor");
    cursor.setAttribute("width", "1");
    cursor.setAttribute("height", "32");
    picture.append(cursor);
  }
  cursor.setAttribute("x", String(place));
}

function show(bars, place) {
  const box = bars.firstElementChild.getBoundingClientRect();
  const width = box.width / signs(bars).length;
  const [date, words] = wordsOf(bars, place);
  mark(bars, place);
  showTip(new DOMRect(box.left + place * width, box.top, width, box.height), date, words);
}

let pointed = null;

function leave() {
  if (pointed) {
    mark(pointed, null);
    hideTip();
    pointed = null;
  }
}

function point(event) {
  const bars = event.target.closest?.(".uptime__bars[data-days]");
  if (bars !== pointed) {
    leave();
  }
  if (bars) {
    const box = bars.firstElementChild.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * signs(bars).length);
    pointed = bars;
    show(bars, Math.min(Math.max(place, 0), signs(bars).length - 1));
  }
}

function walk(bars, place) {
  bars.setAttribute("aria-valuenow", String(place + 1));
  bars.setAttribute("aria-valuetext", wordsOf(bars, place).join(": "));
  show(bars, place);
}

function onKey(event) {
  const bars = event.target.closest?.(".uptime__bars[data-days]");
  if (!bars || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  const last = signs(bars).length - 1;
  const now = Number(bars.getAttribute("aria-valuenow")) - 1;
  const ends = { Home: 0, End: last };
  const place = ends[event.key] ?? (event.key in STEPS ? now + STEPS[event.key] : null);
  if (place !== null) {
    event.preventDefault();
    walk(bars, Math.min(Math.max(place, 0), last));
  }
}

/** Where scripts run, bars can be walked: a slider that only reads. */
export function wireDayBars(root) {
  for (const bars of root.querySelectorAll(".uptime__bars[data-days]")) {
    const count = signs(bars).length;
    bars.tabIndex = 0;
    bars.setAttribute("role", "slider");
    bars.setAttribute("aria-readonly", "true");
    bars.setAttribute("aria-valuemin", "1");
    bars.setAttribute("aria-valuemax", String(count));
    bars.setAttribute("aria-valuenow", String(count));
    bars.setAttribute("aria-valuetext", wordsOf(bars, count - 1).join(": "));
  }
}

export function watchDayBars() {
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  document.addEventListener("keydown", onKey);
  document.addEventListener("focusin", ({ target }) => {
    if (target.matches?.(".uptime__bars[data-days]:focus-visible")) {
      walk(target, Number(target.getAttribute("aria-valuenow")) - 1);
    }
  });
  document.addEventListener("focusout", ({ target }) => {
    if (target.matches?.(".uptime__bars[data-days]")) {
      mark(target, null);
      hideTip();
    }
  });
}
