/** One chart: drag to zoom, double-click to see all again, a value for each curve under the pointer. */

import "uplot/dist/uPlot.min.css";
import "./chart.css";

import { ActionIcon, Box, Group, Text, Tooltip, useComputedColorScheme } from "@mantine/core";
import { useMergedRef, useResizeObserver } from "@mantine/hooks";
import { Download, Image, ZoomOut } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";

import { number } from "../format";
import { SERIES_COLORS } from "../theme";
import { Legend, type Pointed } from "./Legend";
import { savePicture } from "./picture";
import { aligned, csvOf, saveAs, type Curve } from "./series";

export interface Mark {
  x: number;
  label: string;
}

export interface ChartProps {
  title: string;
  curves: Curve[];
  xLabel: string;
  formatX?: (x: number) => string;
  /** x is seconds: marks at whole seconds, minutes, hours. */
  clock?: boolean;
  formatY?: (y: number) => string;
  /** Memory counts in powers of two. */
  binary?: boolean;
  log?: boolean;
  fromZero?: boolean;
  height?: number;
  marks?: Mark[];
  onZoom?: (zoomed: boolean) => void;
}

const INK = {
  light: { text: "#55606b", grid: "#e6eaed", mark: "#8a949e", ground: "#ffffff" },
  dark: { text: "#a3adb6", grid: "#2b3237", mark: "#77828c", ground: "#1b2024" },
};
const BINARY_STEPS = Array.from({ length: 60 }, (_, i) => 2 ** i);
const WHOLE_STEPS = Array.from({ length: 36 }, (_, i) => [1, 2, 5][i % 3]! * 10 ** Math.floor(i / 3));
const CLOCK_STEPS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800,
];
const DASHES = [undefined, [8, 4], [2, 3], [10, 3, 2, 3]];

export function Chart(props: ChartProps) {
  const { title, curves, xLabel, height = 240, log = false, marks } = props;
  const scheme = useComputedColorScheme("light");
  const [observe, size] = useResizeObserver<HTMLDivElement>();
  const box = useRef<HTMLDivElement>(null);
  const place = useMergedRef(observe, box);
  const plot = useRef<uPlot | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [zoomed, setZoomed] = useState(false);
  const pointed = useRef<Pointed>(() => undefined);
  const data = useMemo(() => aligned(log ? curves.map(positive) : curves), [curves, log]);
  const latest = useRef({ props, data });
  latest.current = { props, data };
  const colors = SERIES_COLORS[scheme];
  const colorOf = (curve: Curve, index: number) => colors[(curve.color ?? index) % colors.length]!;
  const shape = JSON.stringify(curves.map((c, i) => [c.label, c.faint, c.color ?? i, c.dash, c.points]));
  const width = Math.floor(size.width);

  useEffect(() => {
    const parent = box.current;
    if (parent === null || width < 50) return;
    const { props: given, data: now } = latest.current;
    const ink = INK[scheme];
    const axis = {
      stroke: ink.text,
      font: "12px system-ui, sans-serif",
      grid: { stroke: ink.grid, width: 1 },
      ticks: { show: false },
    };
    const made = new uPlot(
      {
        width,
        height,
        padding: [10, given.clock ? 26 : 20, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: true, y: false, setScale: true }, points: { size: 7 } },
        scales: {
          x: {
            time: false,
            ...(given.curves.every((curve) => curve.points)
              ? { range: (_, low, high) => rangeOf(low, high, false) }
              : {}),
          },
          y: {
            // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the library exports no more than the enum's type
            distr: given.log ? 3 : 1,
            range: given.log ? undefined : (_, low, high) => rangeOf(low, high, given.fromZero === true),
          },
        },
        axes: [
          {
            ...axis,
            size: 26,
            ...(given.clock ? { incrs: CLOCK_STEPS } : now[0].every(Number.isInteger) ? { incrs: WHOLE_STEPS } : {}),
            values: (_, splits) => splits.map((x) => latest.current.props.formatX?.(x) ?? number(x)),
          },
          {
            ...axis,
            size: (_, values: (string | null)[] | null) =>
              Math.max(44, ...(values ?? []).map((text) => 12 + 7 * (text?.length ?? 0))),
            ...(given.binary && !given.log ? { incrs: BINARY_STEPS } : {}),
            values: (_, splits: (number | null)[]) =>
              splits.map((y) => (y === null ? "" : (latest.current.props.formatY ?? number)(y))),
          },
        ],
        series: [
          {},
          ...given.curves.map((curve, index): uPlot.Series => {
            const stroke = colorOf(curve, index);
            const alone = curve.points === true;
            return {
              label: curve.label,
              stroke: curve.faint ? `${stroke}55` : stroke,
              width: alone ? 0 : curve.faint ? 1 : 1.75,
              dash: curve.dash ?? DASHES[Math.floor(index / colors.length) % DASHES.length],
              spanGaps: !given.binary,
              show: !hidden.has(curve.label),
              points: alone
                ? { show: true, size: 8, fill: stroke }
                : { show: curve.xs.length === 1 ? true : undefined, size: 5 },
            };
          }),
        ],
        hooks: {
          setCursor: [(self) => pointed.current(self.cursor.idx ?? null)],
          setScale: [
            (self, key) => {
              if (key !== "x") return;
              const xs = self.data[0];
              const { min, max } = self.scales["x"]!;
              const part = xs.length > 1 && ((min ?? 0) > xs[0]! || (max ?? 0) < xs[xs.length - 1]!);
              setZoomed(part);
              latest.current.props.onZoom?.(part);
            },
          ],
          draw: [(self) => drawMarks(self, latest.current.props.marks ?? [], ink.mark)],
        },
      },
      now,
      parent,
    );
    plot.current = made;
    return () => {
      made.destroy();
      plot.current = null;
    };
    // The plot is made anew when its form changes; new data alone goes in below.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, scheme, width > 0, height, log, props.binary, props.fromZero, props.clock]);

  useEffect(() => {
    if (width >= 50) plot.current?.setSize({ width, height });
  }, [width, height]);

  useEffect(() => {
    const made = plot.current;
    if (made === null || made.data === data) return;
    const { min, max } = made.scales["x"]!;
    made.setData(data, !zoomed);
    if (zoomed && min != null && max != null) made.setScale("x", { min, max });
  }, [data, zoomed]);

  useEffect(() => plot.current?.redraw(false), [marks]);

  useEffect(() => {
    curves.forEach((curve, index) => {
      const show = !hidden.has(curve.label);
      const made = plot.current;
      if (made?.series[index + 1] && made.series[index + 1]!.show !== show) made.setSeries(index + 1, { show });
    });
  }, [hidden, curves]);

  function flip(label: string) {
    setHidden((before) => {
      const after = new Set(before);
      if (!after.delete(label)) after.add(label);
      return after;
    });
  }
  const { formatX = number, formatY = number } = props;
  const told = useMemo(() => described(title, xLabel, curves, formatY), [title, xLabel, curves, formatY]);
  const legend = useMemo(
    () =>
      curves
        .map((curve, index) => ({
          label: curve.label,
          color: colors[(curve.color ?? index) % colors.length]!,
          dashed: curve.dash !== undefined || index >= colors.length,
          points: curve.points === true,
          column: index + 1,
          faint: curve.faint,
        }))
        .filter((entry) => !entry.faint),
    [curves, colors],
  );

  return (
    <Box component="figure" m={0} className="chart">
      <Group justify="space-between" wrap="nowrap" mb={4} gap="xs" align="flex-start">
        <Text component="figcaption" fw={600} size="sm" className="break">
          {title}
        </Text>
        <Group gap={2} wrap="nowrap">
          {zoomed && (
            <Tooltip label="Show all">
              <ActionIcon
                variant="light"
                size="sm"
                aria-label={`Show all of ${title}`}
                onClick={() => plot.current?.setData(plot.current.data, true)}
              >
                <ZoomOut size={15} aria-hidden />
              </ActionIcon>
            </Tooltip>
          )}
          <Tooltip label="Save as CSV">
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-label={`Save ${title} as CSV`}
              onClick={() => saveAs(`${title}.csv`, csvOf(xLabel, curves))}
            >
              <Download size={15} aria-hidden />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Save as picture">
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-label={`Save ${title} as picture`}
              onClick={() => plot.current && savePicture(plot.current, title, legend, INK[scheme])}
            >
              <Image size={15} aria-hidden />
            </ActionIcon>
          </Tooltip>
        </Group>
      </Group>
      <div ref={place} style={{ height }} role="img" aria-label={told} />
      <Legend
        entries={legend}
        data={data}
        xLabel={xLabel}
        formatX={formatX}
        formatY={formatY}
        hidden={hidden}
        flip={flip}
        pointed={pointed}
      />
    </Box>
  );
}

/** A logarithm has no place for the rest; they leave a gap. */
function positive(curve: Curve): Curve {
  return { ...curve, ys: curve.ys.map((y) => (y !== null && y > 0 ? y : null)) };
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

/** What a reader who does not see the chart is told: where each curve begins, its extremes, and where it ends. */
function described(title: string, xLabel: string, curves: readonly Curve[], formatY: (y: number) => string): string {
  const lines = curves
    .filter((curve) => !curve.faint)
    .slice(0, 8)
    .map((curve) => {
      let first: number | null = null;
      let last: number | null = null;
      let low = Infinity;
      let high = -Infinity;
      for (const y of curve.ys) {
        if (y === null) continue;
        first ??= y;
        last = y;
        low = Math.min(low, y);
        high = Math.max(high, y);
      }
      if (first === null || last === null) return `${curve.label}: no readings`;
      return `${curve.label} from ${formatY(first)} to ${formatY(last)}, least ${formatY(low)}, greatest ${formatY(high)}`;
    });
  return `Chart of ${title} against ${xLabel}. ${lines.join(". ")}`;
}
