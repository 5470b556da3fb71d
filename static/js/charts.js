/* Charts: draws [data-chart] with ECharts when they come into sight, in the page's colours. */

import { chartOption } from "./chart-options.js";
import { addChartTip } from "./chart-tip.js";
import { fillLegend, fillTable } from "./chart-words.js";
import { addChartZoom, showRange } from "./chart-zoom.js";

const charts = new Map();
let library;

/** Read the tokens where the chart stands, so that every theme and every state class is honoured. */
function palette(element) {
  const style = getComputedStyle(element);
  const token = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    series: [1, 2, 3, 4, 5].map((index) => token(`chart-${index}`)),
    grid: token("chart-grid"),
    quiet: token("ink-3"),
    state: token("state"),
    font: token("font-sans"),
    of: (state) => token(state) || token("unknown"),
  };
}

async function load(element) {
  if (element.dataset.chartUrl) {
    const answer = await fetch(element.dataset.chartUrl, { headers: { Accept: "application/json" } });
    if (!answer.ok) {
      throw new Error(`chart data: ${answer.status}`);
    }
    return answer.json();
  }
  return JSON.parse(document.getElementById(element.dataset.chartData).textContent);
}

function note(canvas, text) {
  canvas.querySelector(".chart__note")?.remove();
  if (text) {
    const words = Object.assign(document.createElement("p"), { className: "chart__note", textContent: text });
    canvas.append(words);
  }
}

function paint(state) {
  const { element, canvas, data, hidden } = state;
  state.chart.setOption(chartOption(data, palette(element), { hidden, width: canvas.clientWidth }), { notMerge: true });
}

async function refresh(state) {
  const { element, canvas } = state;
  const url = element.dataset.chartUrl;
  const turn = (state.asked += 1);
  const data = await load(element).catch(() => null);
  // Answers come in any order. What is under way is not taken back, or a slow server would never be heard; but an answer
  // to an earlier choice, or one older than what is shown, comes too late.
  if (url !== element.dataset.chartUrl || turn < state.answered) {
    return;
  }
  if (!data) {
    note(canvas, element.dataset.wordFailed);
    return;
  }
  state.answered = turn;
  state.data = data;
  state.awaited = null;
  const isEmpty = !state.data.series.some((series) => series.values.some((value) => value !== null));
  note(canvas, isEmpty ? element.dataset.wordEmpty : "");
  paint(state);
  showRange(state);
  fillLegend(element.querySelector("[data-chart-legend]"), state, () => paint(state));
  const table = element.querySelector("[data-chart-table]");
  fillTable(table, state.data, element.dataset.wordTime);
}

function startChart(element) {
  const canvas = element.querySelector("[data-chart-canvas]");
  const chart = library.init(canvas, null, { renderer: "canvas" });
  const state = { element, canvas, chart, data: null, hidden: new Set(), asked: 0, answered: 0, awaited: null };
  charts.set(element, state);
  addChartTip(state);
  addChartZoom(state, refresh);
  new ResizeObserver(() => {
    if (canvas.isConnected && canvas.clientWidth) {
      chart.resize();
      if (state.data) {
        paint(state);
      }
    }
  }).observe(canvas);
  element.addEventListener("live", () => refresh(state));
  element.addEventListener("chart:url", (event) => {
    element.dataset.chartUrl = event.detail.url;
    refresh(state);
  });
  refresh(state);
}

function forgetGone() {
  for (const [element, { chart }] of charts) {
    if (!element.isConnected) {
      chart.dispose();
      charts.delete(element);
    }
  }
}

const AHEAD_PX = 300;

/** What stands in sight is drawn in the same frame, so that a live swap of a table does not flicker. */
function isNear(element) {
  const { top, bottom, width } = element.getBoundingClientRect();
  return width > 0 && bottom > -AHEAD_PX && top < window.innerHeight + AHEAD_PX;
}

const sight = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        sight.unobserve(target);
        startChart(target);
      }
    }
  },
  { rootMargin: `${AHEAD_PX}px` },
);

document.addEventListener("theme:changed", () => {
  for (const state of charts.values()) {
    if (state.data) {
      paint(state);
    }
  }
});

/** Draw every chart under root; `echartsUrl` is the (hashed) address of the library. */
export async function drawCharts(root, echartsUrl) {
  library ??= await import(echartsUrl);
  forgetGone();
  const found = [...root.querySelectorAll("[data-chart]")];
  if (root.matches?.("[data-chart]")) {
    found.push(root);
  }
  for (const element of found.filter((each) => !charts.has(each))) {
    if (isNear(element)) {
      startChart(element);
    } else {
      sight.observe(element);
    }
  }
}
