/* Choosing the time that a chart shows: drag over it, double click for all of it again, or the buttons above it, which do
   the same from the keyboard. The address carries the time, so that a link shows what its sender saw. */

import { momentWords } from "./chart-options.js";

const DRAG_PX = 6;
const NARROWEST_MS = 60_000;

/** Parts of the time shown to go by: from and to, as shares of its length. */
const MOVES = { earlier: [-0.5, -0.5], later: [0.5, 0.5], in: [0.25, -0.25], out: [-0.5, 0.5] };

function addressOf(url, range) {
  const address = new URL(url, window.location.href);
  for (const end of ["from", "to"]) {
    address.searchParams.delete(end);
    if (range) {
      address.searchParams.set(end, String(Math.round(range[end])));
    }
  }
  return address.pathname + address.search;
}

/** Show another time, or with null the period again. */
function choose(state, range, refresh) {
  state.element.dataset.chartUrl = addressOf(state.element.dataset.chartUrl, range);
  state.isZoomed = range !== null;
  state.awaited = range;
  window.history.replaceState(window.history.state, "", addressOf(window.location.href, range));
  refresh(state);
}

/** Go on from the time shown, or from the one already chosen whose answer is under way: two presses are two steps. */
function move({ data, awaited }, [early, late]) {
  const shown = awaited ?? data;
  const span = shown.to - shown.from;
  const now = Date.now();
  const from = shown.from + early * span;
  const to = Math.min(shown.to + late * span, now);
  return { from: Math.min(from, to - NARROWEST_MS), to };
}

/** Say which time is shown, and offer what can be done with it. */
export function showRange({ element, data, isZoomed }) {
  const tools = element.querySelector("[data-chart-tools]");
  if (tools) {
    const words = isZoomed ? `${momentWords(data.from)} – ${momentWords(data.to)}` : "";
    const range = tools.querySelector("[data-chart-range]");
    if (range.textContent !== words) {
      range.textContent = words;
    }
    tools.hidden = false;
    tools.querySelector("[data-chart-move=reset]").hidden = !isZoomed;
    tools.querySelector("[data-chart-move=later]").disabled = data.to >= Date.now() - NARROWEST_MS;
  }
}

function selection(canvas, left, right) {
  let mark = canvas.querySelector(".chart__selection");
  if (left === null) {
    mark?.remove();
    return;
  }
  if (!mark) {
    mark = Object.assign(document.createElement("div"), { className: "chart__selection" });
    canvas.append(mark);
  }
  mark.style.insetInlineStart = `${left}px`;
  mark.style.inlineSize = `${right - left}px`;
}

function wireDrag(state, refresh) {
  const { canvas, chart } = state;
  let start = null;
  let end = null;
  const within = (x) => Math.min(Math.max(x - canvas.getBoundingClientRect().left, 0), canvas.clientWidth);
  const stop = () => {
    selection(canvas, null);
    start = null;
    end = null;
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && state.data?.times.length) {
      start = within(event.clientX);
    }
  });
  canvas.addEventListener("pointermove", (event) => {
    if (start !== null && Math.abs(within(event.clientX) - start) > DRAG_PX) {
      canvas.setPointerCapture(event.pointerId);
      end = within(event.clientX);
      selection(canvas, Math.min(start, end), Math.max(start, end));
    }
  });
  canvas.addEventListener("pointerup", () => {
    if (start !== null && end !== null) {
      const [from, to] = [Math.min(start, end), Math.max(start, end)].map((x) => chart.convertFromPixel({ xAxisIndex: 0 }, x));
      const { data } = state;
      choose(state, { from: Math.max(from, data.from), to: Math.min(to, data.to) }, refresh);
    }
    stop();
  });
  canvas.addEventListener("pointercancel", stop);
  document.addEventListener("keydown", (event) => event.key === "Escape" && start !== null && stop());
  canvas.addEventListener("dblclick", () => state.isZoomed && choose(state, null, refresh));
}

/** Let people zoom a chart that says it can be. */
export function addChartZoom(state, refresh) {
  const tools = state.element.querySelector("[data-chart-tools]");
  if (!tools) {
    return;
  }
  state.isZoomed = new URL(state.element.dataset.chartUrl, window.location.href).searchParams.has("from");
  tools.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-chart-move]");
    if (button && state.data) {
      const { chartMove } = button.dataset;
      if (chartMove === "reset") {
        tools.querySelector("[data-chart-move=in]").focus();
      }
      choose(state, chartMove === "reset" ? null : move(state, MOVES[chartMove]), refresh);
    }
  });
  wireDrag(state, refresh);
}
