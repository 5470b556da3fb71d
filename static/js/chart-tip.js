/* The card beside the pointer on a chart: the moment and every series there, as real elements with classes. */

import { colorNumber, momentWords, withUnit } from "./chart-options.js";

const GAP_PX = 14;

function part(tag, className, text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

function line(name, value, key) {
  const row = part("div", "chart-tip__line");
  row.append(part("span", key ? `chart__key chart__key--${key}` : "chart__key chart__key--none"));
  row.append(part("span", "chart-tip__name", name), part("span", "chart-tip__value", value));
  return row;
}

function nearest(times, moment) {
  let low = 0;
  let high = times.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] < moment) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return moment - times[low] < times[high] - moment ? low : high;
}

function fill(tip, { data, hidden }, at) {
  const lines = data.series
    .map((series, index) => ({ series, index, value: series.values[at] }))
    .filter(({ index, value }) => !hidden.has(index) && value !== null);
  const band = (data.bands ?? []).find(({ from, to }) => from <= data.times[at] && data.times[at] <= to);
  tip.replaceChildren(part("div", "chart-tip__time", momentWords(data.times[at])));
  if (band?.label) {
    tip.append(part("div", `chart-tip__band state-${band.state ?? "down"}`, band.label));
  }
  // The topmost layer of a stack is read first.
  const ordered = data.stacked ? [...lines].reverse() : lines;
  tip.append(...ordered.map(({ series, index, value }) => line(series.name, withUnit(value, data.unit), colorNumber(data, index))));
  if (data.stacked && data.total && lines.length > 1) {
    const sum = lines.reduce((total, { value }) => total + value, 0);
    tip.append(line(data.total, withUnit(sum, data.unit)));
  }
  if (!lines.length && !band?.label) {
    tip.append(line("–", ""));
  }
}

function place(tip, canvas, x, y) {
  const left = x + GAP_PX + tip.offsetWidth > canvas.clientWidth ? x - GAP_PX - tip.offsetWidth : x + GAP_PX;
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = `${Math.max(0, Math.min(y - tip.offsetHeight / 2, canvas.clientHeight - tip.offsetHeight))}px`;
}

export function addChartTip(state) {
  const { chart, canvas } = state;
  const tip = part("div", "chart-tip");
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  canvas.append(tip);
  chart.getZr().on("mousemove", ({ offsetX, offsetY }) => {
    tip.hidden = !state.data?.times.length || !chart.containPixel("grid", [offsetX, offsetY]);
    if (!tip.hidden) {
      fill(tip, state, nearest(state.data.times, chart.convertFromPixel("grid", [offsetX, offsetY])[0]));
      place(tip, canvas, offsetX, offsetY);
    }
  });
  chart.getZr().on("globalout", () => {
    tip.hidden = true;
  });
}
