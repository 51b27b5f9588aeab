/** How a chart is drawn: axes, series, and what happens when a user points at it or zooms. */

import uPlot from "uplot";

import { number } from "../format";
import { GREY, type Curve } from "./series";

export interface Mark {
  x: number;
  label: string;
}

export interface Drawing {
  curves: Curve[];
  /** What x is, such as `step`. */
  xLabel: string;
  formatX?: (x: number) => string;
  /** x is seconds: marks at whole seconds, minutes, hours. */
  clock?: boolean;
  /** x is seconds since 1970: marks at whole hours and days of the reader. */
  calendar?: boolean;
  formatY?: (y: number) => string;
  /** Memory counts in powers of two. */
  binary?: boolean;
  /** Nothing is drawn where nothing was read. */
  gaps?: boolean;
  log?: boolean;
  fromZero?: boolean;
  height?: number;
  marks?: Mark[];
  onZoom?: (zoomed: boolean) => void;
}

export interface Look {
  ink: { text: string; grid: string; mark: string; ground: string };
  colors: readonly string[];
}

interface Plan {
  width: number;
  height: number;
  look: Look;
  data: uPlot.AlignedData;
  hidden: ReadonlySet<string>;
  /** The newest props: formats and marks may change while the plot stays. */
  latest: () => Drawing;
  pointed: (index: number | null) => void;
  zoomed: (part: boolean) => void;
}

const BINARY_STEPS = Array.from({ length: 60 }, (_, i) => 2 ** i);
const WHOLE_STEPS = Array.from({ length: 36 }, (_, i) => [1, 2, 5][i % 3]! * 10 ** Math.floor(i / 3));
const CLOCK_STEPS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800,
];
const AXIS_FONT = "12px system-ui, sans-serif";
const CHARACTER_PIXELS = 7;
const DASHES = [undefined, [8, 4], [2, 3], [10, 3, 2, 3]];

export function colorOf(curve: Curve, index: number, { colors, ink }: Look): string {
  return curve.color === GREY ? ink.mark : colors[(curve.color ?? index) % colors.length]!;
}

/** Hues repeat with dashes where there are more curves than hues. */
export function dashOf(curve: Curve, index: number, { colors }: Look): number[] | undefined {
  const round = curve.color === GREY ? 0 : Math.floor((curve.color ?? index) / colors.length);
  return curve.dash ?? DASHES[round % DASHES.length];
}

export function optionsOf(given: Drawing, plan: Plan): uPlot.Options {
  const { width, height, look, hidden, latest } = plan;
  return {
    width,
    height,
    padding: [10, given.clock ? 34 : 22, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: true, y: false, setScale: true }, points: { size: 7 } },
    scales: scalesOf(given),
    axes: axesOf(given, plan),
    series: [{}, ...given.curves.map((curve, index) => seriesOf(curve, index, given, look, hidden))],
    hooks: {
      setCursor: [(self) => plan.pointed(self.cursor.idx ?? null)],
      setScale: [(self, key) => key === "x" && plan.zoomed(showsPart(self))],
      draw: [(self) => drawMarks(self, latest().marks ?? [], look.ink.mark)],
    },
  };
}

function scalesOf(given: Drawing): uPlot.Scales {
  const points = given.curves.every((curve) => curve.points);
  return {
    x: { time: given.calendar === true, range: (_, low, high) => (points ? rangeOf : wholeOf)(low, high, false) },
    y: {
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the library exports no more than the enum's type
      distr: given.log ? 3 : 1,
      range: given.log ? undefined : (_, low, high) => rangeOf(low, high, given.fromZero === true),
    },
  };
}

function axesOf(given: Drawing, { look, data, latest }: Plan): uPlot.Axis[] {
  const common: uPlot.Axis = {
    stroke: look.ink.text,
    font: AXIS_FONT,
    grid: { stroke: look.ink.grid, width: 1 },
    ticks: { show: false },
  };
  const textOf = (x: number) => latest().formatX?.(x) ?? number(x);
  const xSteps = given.calendar
    ? undefined
    : given.clock
      ? CLOCK_STEPS
      : data[0].every(Number.isInteger)
        ? WHOLE_STEPS
        : undefined;
  const ySteps = given.binary && !given.log ? BINARY_STEPS : undefined;
  return [
    {
      ...common,
      size: 24,
      space: (_, __, ___, max) => 24 + CHARACTER_PIXELS * textOf(max).length,
      label: given.xLabel.charAt(0).toUpperCase() + given.xLabel.slice(1),
      labelSize: 18,
      labelGap: 0,
      labelFont: AXIS_FONT,
      ...(xSteps && { incrs: xSteps }),
      values: (_, splits) => splits.map(textOf),
    },
    {
      ...common,
      size: (_, values: (string | null)[] | null) =>
        Math.max(44, ...(values ?? []).map((text) => 12 + CHARACTER_PIXELS * (text?.length ?? 0))),
      ...(ySteps && { incrs: ySteps }),
      values: (_, splits: (number | null)[]) => splits.map((y) => (y === null ? "" : (latest().formatY ?? number)(y))),
    },
  ];
}

function seriesOf(
  curve: Curve,
  index: number,
  { binary, gaps }: Drawing,
  look: Look,
  hidden: ReadonlySet<string>,
): uPlot.Series {
  const stroke = colorOf(curve, index, look);
  const alone = curve.points === true;
  return {
    label: curve.label,
    stroke: curve.faint ? `${stroke}55` : stroke,
    width: alone ? 0 : curve.faint ? 1 : 1.75,
    dash: dashOf(curve, index, look),
    spanGaps: !binary && !gaps,
    show: !hidden.has(curve.label),
    points: alone ? { show: true, size: 8, fill: stroke } : { show: curve.xs.length === 1 ? true : undefined, size: 5 },
  };
}

function showsPart(self: uPlot): boolean {
  const xs = self.data[0];
  const { min, max } = self.scales["x"]!;
  return xs.length > 1 && ((min ?? 0) > xs[0]! || (max ?? 0) < xs[xs.length - 1]!);
}

/** From edge to edge; a single reading is at the left one. */
function wholeOf(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  return [low, high > low ? high : low + 1];
}

function rangeOf(low: number | null, high: number | null, fromZero: boolean): [number, number] {
  if (low === null || high === null) return [0, 1];
  const bottom = fromZero ? Math.min(0, low) : low;
  const room = (high - bottom || Math.abs(high) || 1) * 0.06;
  return [fromZero && low >= 0 ? 0 : bottom - room, high + room];
}

function drawMarks(self: uPlot, marks: readonly Mark[], color: string): void {
  const { ctx, bbox } = self;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = color;
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  let free = -Infinity;
  for (const mark of marks) {
    const x = Math.round(self.valToPos(mark.x, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const wide = ctx.measureText(mark.label).width;
    if (x < free || x + wide > bbox.left + bbox.width) continue;
    ctx.fillText(mark.label, x + 4 * ratio, bbox.top + 11 * ratio);
    free = x + wide + 8 * ratio;
  }
  ctx.restore();
}
