/* Moments and lengths of time in the reader's language and time zone; running ones tick. */

const language = document.documentElement.lang || "en";
const zone = document.documentElement.dataset.timeZone || undefined;
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "long" });
const exact = new Intl.DateTimeFormat(language, {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
  timeZoneName: "short",
  timeZone: zone,
});
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric", timeZone: zone });

const STEPS = [
  ["second", 1, 60],
  ["minute", 60, 3600],
  ["hour", 3600, 86400],
  ["day", 86400, 7 * 86400],
];

/** "3 minutes ago" up to a week; the date after that. */
export function relativeWords(moment, now = Date.now()) {
  const seconds = Math.round((moment - now) / 1000);
  const size = Math.abs(seconds);
  const step = STEPS.find(([, , below]) => size < below);
  return step ? relative.format(Math.trunc(seconds / step[1]), step[0]) : day.format(moment);
}

function unit(value, name) {
  return new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "narrow" }).format(value);
}

/** "4m 12s": the two largest units that matter. */
export function durationWords(total) {
  const seconds = Math.max(0, Math.floor(total));
  const parts = [
    [Math.floor(seconds / 86400), "day"],
    [Math.floor(seconds / 3600) % 24, "hour"],
    [Math.floor(seconds / 60) % 60, "minute"],
    [seconds % 60, "second"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first === -1) {
    return unit(0, "second");
  }
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, name]) => unit(value, name))
    .join(" ");
}

function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

function refresh(root) {
  for (const time of root.querySelectorAll("time[data-relative]")) {
    const moment = Date.parse(time.dateTime);
    if (!Number.isNaN(moment)) {
      setText(time, relativeWords(moment));
      time.title = exact.format(moment);
    }
  }
  for (const time of root.querySelectorAll("time[data-exact]")) {
    const moment = Date.parse(time.dateTime);
    if (!Number.isNaN(moment)) {
      setText(time, exact.format(moment));
    }
  }
  for (const length of root.querySelectorAll("[data-duration]")) {
    setText(length, durationWords(Number(length.dataset.duration)));
  }
  for (const length of root.querySelectorAll("[data-duration-since]")) {
    setText(length, durationWords((Date.now() - Date.parse(length.dataset.durationSince)) / 1000));
  }
}

let ticking = false;

export function wireTimes(root) {
  refresh(root.parentElement ?? root);
  if (!ticking) {
    ticking = true;
    window.setInterval(() => document.hidden || refresh(document), 1000);
    document.addEventListener("visibilitychange", () => document.hidden || refresh(document));
  }
}
