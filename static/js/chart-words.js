/* What surrounds a chart's picture: a legend of real buttons and the same numbers as a table. */

import { colorNumber, momentWords, withUnit } from "./chart-options.js";

function legendButton(series, index, state, repaint) {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  const key = Object.assign(document.createElement("span"), { className: `chart__key chart__key--${colorNumber(state.data, index)}` });
  button.append(key, series.name);
  button.setAttribute("aria-pressed", String(!state.hidden.has(index)));
  button.addEventListener("click", () => {
    if (!state.hidden.delete(index)) {
      state.hidden.add(index);
    }
    button.setAttribute("aria-pressed", String(!state.hidden.has(index)));
    repaint();
  });
  return button;
}

export function fillLegend(legend, state, repaint) {
  const { series } = state.data;
  legend.hidden = series.length < 2;
  legend.replaceChildren(...series.map((each, index) => legendButton(each, index, state, repaint)));
}

function cell(tag, text, scope) {
  const element = Object.assign(document.createElement(tag), { textContent: text });
  if (scope) {
    element.scope = scope;
  }
  return element;
}

/** Filled when opened, newest first: 1,000 rows nobody looks at cost nothing. */
export function fillTable(holder, data, timeWord) {
  const details = holder.closest("details");
  const build = () => {
    const table = Object.assign(document.createElement("table"), { className: "table" });
    const head = table.createTHead().insertRow();
    head.append(cell("th", timeWord, "col"), ...data.series.map((series) => cell("th", series.name, "col")));
    const body = table.createTBody();
    for (let at = data.times.length - 1; at >= 0; at -= 1) {
      const row = body.insertRow();
      row.append(cell("th", momentWords(data.times[at]), "row"));
      row.append(...data.series.map((series) => cell("td", withUnit(series.values[at], data.unit))));
    }
    holder.replaceChildren(table);
  };
  details.ontoggle = () => details.open && build();
  if (details.open) {
    build();
  }
}
