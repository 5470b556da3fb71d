/* Boots every page: each module wires what it knows, again after each htmx swap. */

import { wireConfirm } from "./confirm.js";
import { wireCopy } from "./copy.js";
import { watchDayBars, wireDayBars } from "./day-bars.js";
import { wireFavicon } from "./favicon.js";
import { wireForms } from "./forms.js";
import { wireMenus } from "./menus.js";
import { wirePhases } from "./phases.js";
import { wireShell } from "./shell.js";
import { wireThemeSwitches } from "./theme-switch.js";
import { wireTimes } from "./times.js";
import { wireTips } from "./tips.js";
import { wireToasts } from "./toasts.js";

const CHARTS = "[data-chart]";

/** ECharts weighs more than everything else together, so it comes only where a chart is. */
async function wireCharts(root) {
  if (root.matches?.(CHARTS) || root.querySelector(CHARTS)) {
    const app = document.getElementById("obsera-app");
    const { drawCharts } = await import(app.dataset.charts);
    drawCharts(root, app.dataset.echarts);
  }
}

function wireParts(root) {
  wireThemeSwitches(root);
  wireTimes(root);
  wirePhases(root);
  wireDayBars(root);
  wireForms(root);
  wireFavicon();
  wireCharts(root);
}

wireMenus();
wireShell();
wireCopy();
wireConfirm();
wireTips();
watchDayBars();
wireToasts();
wireParts(document.documentElement);
document.addEventListener("htmx:load", (event) => {
  if (event.detail.elt !== document.body) {
    wireParts(event.detail.elt);
  }
});
