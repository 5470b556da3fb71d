/* From chart data and the page's colours to ECharts options. No DOM, no network. */

const language = () => document.documentElement.lang || "en";

function number(value) {
  return new Intl.NumberFormat(language(), { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}

// Phases keep their colours everywhere: DNS, connect, TLS, first byte, transfer.
const PHASE_COLORS = [5, 4, 3, 1, 2];

/** Which of the five chart colours (1 to 5) a series has. */
export function colorNumber(data, index) {
  const order = data.stacked && data.series.length === PHASE_COLORS.length ? PHASE_COLORS : [1, 2, 3, 4, 5];
  return data.series[index].color ?? order[index % order.length];
}

/** "120 ms", "1.4 s", "99.95 %". */
export function withUnit(value, unit) {
  if (value === null || value === undefined) {
    return "–";
  }
  if (unit === "ms" && value >= 1000) {
    return `${new Intl.NumberFormat(language(), { maximumFractionDigits: 2 }).format(value / 1000)} s`;
  }
  return unit ? `${number(value)} ${unit}` : number(value);
}

/** "21 Nov, 03:40", with seconds only where they say something. */
export function momentWords(moment) {
  return new Intl.DateTimeFormat(language(), {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    second: moment % 60000 === 0 ? undefined : "2-digit",
    hourCycle: "h23",
    timeZone: document.documentElement.dataset.timeZone || undefined,
  }).format(moment);
}

function bandArea(band, colors) {
  const color = colors.of(band.state ?? "down");
  return [
    { xAxis: band.from, itemStyle: { color, opacity: 0.14 }, name: band.label ?? "" },
    { xAxis: band.to },
  ];
}

function thresholdLine(threshold, colors) {
  return {
    yAxis: threshold.value,
    lineStyle: { color: colors.of(threshold.state ?? "degraded"), type: "dashed", width: 1 },
    label: { formatter: threshold.label ?? "", position: "insideEndTop", color: colors.quiet, fontSize: 11, fontFamily: colors.font },
  };
}

function seriesOption(series, index, data, colors, hidden) {
  const color = colors.series[colorNumber(data, index) - 1];
  const filled = data.stacked || data.kind === "area";
  return {
    type: data.kind === "bar" ? "bar" : "line",
    name: series.name,
    data: data.times.map((time, at) => [time, hidden ? null : series.values[at]]),
    stack: data.stacked ? "all" : undefined,
    color,
    showSymbol: data.times.length === 1,
    symbolSize: 5,
    sampling: data.stacked ? undefined : "lttb",
    connectNulls: false,
    barMaxWidth: 18,
    lineStyle: { width: data.stacked ? 1 : 1.75, color },
    areaStyle: filled ? { opacity: data.stacked ? 0.32 : 0.1, color } : undefined,
    emphasis: { disabled: true },
    markArea:
      index === 0 ? { silent: true, data: (data.bands ?? []).map((band) => bandArea(band, colors)), label: { show: false } } : undefined,
    markLine:
      index === 0
        ? { silent: true, symbol: "none", animation: false, data: (data.thresholds ?? []).map((each) => thresholdLine(each, colors)) }
        : undefined,
  };
}

export function chartOption(data, colors, { hidden, width }) {
  const text = { color: colors.quiet, fontSize: 11, fontFamily: colors.font };
  return {
    animation: false,
    grid: { left: 4, right: 20, top: 12, bottom: 4, containLabel: true },
    // Only the line: ECharts' HTML tooltip needs style attributes, which our content security policy forbids (chart-tip.js).
    tooltip: { trigger: "axis", showContent: false, axisPointer: { type: "line", lineStyle: { color: colors.quiet, type: "solid" } } },
    xAxis: {
      type: "time",
      min: data.from ?? "dataMin",
      max: data.to ?? "dataMax",
      splitNumber: Math.max(2, Math.floor(width / 110)),
      axisLine: { show: false },
      axisTick: { show: false },
      splitLine: { show: false },
      axisLabel: { ...text, hideOverlap: true },
    },
    yAxis: {
      type: "value",
      min: 0,
      splitNumber: 4,
      axisLabel: { ...text, formatter: (value) => withUnit(value, data.unit) },
      splitLine: { lineStyle: { color: colors.grid } },
    },
    series: data.series.map((series, index) => seriesOption(series, index, data, colors, hidden.has(index))),
  };
}
