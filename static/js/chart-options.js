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

export function momentWords(moment) {
  const zone = document.documentElement.dataset.timeZone || undefined;
  return new Intl.DateTimeFormat(language(), {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    timeZone: zone,
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
    label: { formatter: threshold.label ?? "", position: "insideEndTop", color: colors.quiet, fontSize: 11 },
  };
}

function tooltip(data, colors) {
  return {
    trigger: "axis",
    // HTML tooltips carry style attributes, which our content security policy forbids.
    renderMode: "richText",
    confine: true,
    backgroundColor: colors.raised,
    borderColor: colors.line,
    borderWidth: 1,
    padding: [8, 12],
    textStyle: { color: colors.ink, fontSize: 12, fontFamily: colors.font, lineHeight: 18 },
    axisPointer: { type: "line", lineStyle: { color: colors.quiet, type: "solid", width: 1 } },
    formatter: (points) => {
      const lines = points
        .filter((point) => point.value[1] !== null)
        .map((point) => `{k${point.seriesIndex}|■} ${point.seriesName}  {b|${withUnit(point.value[1], data.unit)}}`);
      const sum = points.reduce((total, point) => total + (point.value[1] ?? 0), 0);
      if (data.stacked && lines.length > 1 && data.total) {
        lines.push(`{k|■} ${data.total}  {b|${withUnit(sum, data.unit)}}`);
      }
      return [`{t|${momentWords(points[0].value[0])}}`, ...(lines.length ? lines : ["–"])].join("\n");
    },
  };
}

/** Rich-text styles: one small square a series, the time quiet, the figures bold. */
function richStyles(data, colors) {
  const styles = { t: { color: colors.quiet, fontSize: 11, lineHeight: 18 }, b: { fontWeight: 600 }, k: { color: "transparent" } };
  data.series.forEach((_, index) => {
    styles[`k${index}`] = { color: colors.series[colorNumber(data, index) - 1], fontSize: 10 };
  });
  return styles;
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
  const tip = tooltip(data, colors);
  tip.textStyle.rich = richStyles(data, colors);
  return {
    animation: false,
    grid: { left: 4, right: 12, top: 12, bottom: 4, containLabel: true },
    tooltip: tip,
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

export function sparklineOption(values, colors) {
  const color = colors.state || colors.series[3];
  return {
    animation: false,
    grid: { left: 1, right: 1, top: 2, bottom: 2 },
    xAxis: { type: "category", show: false, boundaryGap: false, data: values.map((_, index) => index) },
    yAxis: { type: "value", show: false, min: ({ min }) => Math.max(0, min * 0.6) },
    series: [
      {
        type: "line",
        data: values,
        silent: true,
        showSymbol: false,
        connectNulls: false,
        color,
        lineStyle: { width: 1.5, color },
        areaStyle: { color, opacity: 0.08 },
      },
    ],
  };
}
