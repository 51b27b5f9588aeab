/** Parallel coordinates: a line for each run through its values. A stroke along an axis selects runs. */

import { Card, Group, Text, Title } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { useMemo, useState, type PointerEvent } from "react";

import type { StudyTrainingRead } from "../../../api/schema";
import { counted } from "../../../format";
import { colorOf, described, isKept, numberOn, share, swept, textOn, ticksOf, type Axis, type Selection } from "./axes";
import { FilterAxis } from "./FilterAxis";

const HEIGHT = 280;
const TOP = 30;
const BOTTOM = 34;
const MIN_AXIS_PIXELS = 96;
const NEAR_PIXELS = 14;
/** A shorter stroke is a click, which takes the selection away. */
const MIN_STROKE = 0.02;

export interface Linked {
  runs: readonly StudyTrainingRead[];
  axes: readonly Axis[];
  selection: Selection;
  select: (selection: Selection) => void;
  marked: number | null;
  mark: (run: number | null) => void;
  open: (run: number) => void;
}

export function Parallel({ runs, axes, selection, select, marked, mark, open }: Linked) {
  const { ref, width: room } = useElementSize();
  const width = Math.max(room, axes.length * MIN_AXIS_PIXELS);
  const [stroke, setStroke] = useState<{ axis: number; from: number; to: number } | null>(null);
  const x = (i: number) => width * ((i + 0.5) / axes.length);
  const result = axes.findIndex((axis) => axis.levels === null);
  const paths = useMemo(() => runs.map((run) => pointsOf(axes, run)), [axes, runs]);

  function partOf(event: PointerEvent<SVGElement>): number {
    const box = event.currentTarget.ownerSVGElement?.getBoundingClientRect();
    const y = event.clientY - (box?.top ?? 0);
    return Math.min(1, Math.max(0, 1 - (y - TOP) / (HEIGHT - TOP - BOTTOM)));
  }
  function finish() {
    if (stroke === null) return;
    const axis = axes[stroke.axis]!;
    const kept = Math.abs(stroke.to - stroke.from) < MIN_STROKE ? null : swept(axis, stroke.from, stroke.to);
    const { [axis.key]: _, ...rest } = selection;
    select(kept === null ? rest : { ...rest, [axis.key]: kept });
    setStroke(null);
  }
  function point(event: PointerEvent<SVGSVGElement>) {
    if (stroke !== null) return;
    const box = event.currentTarget.getBoundingClientRect();
    mark(nearest(paths, ((event.clientX - box.left) / width) * axes.length - 0.5, event.clientY - box.top));
  }
  const kept = runs.filter((run) => isKept(axes, selection, run)).length;
  const pathAt = (i: number) => pathOf(paths[i]!, x);
  return (
    <Card component="section" aria-labelledby="parallel">
      <Group justify="space-between" gap="xs" mb="xs">
        <Title order={2} size="h4" id="parallel">
          Parallel coordinates
        </Title>
        {result >= 0 && <ScaleKey axis={axes[result]!} />}
      </Group>
      <div className="scroll-x" ref={ref}>
        <svg
          className="drawing"
          width={width}
          height={HEIGHT}
          role="img"
          aria-label={`${counted(runs.length, "run")} over ${axes.map((axis) => axis.label.toLowerCase()).join(", ")}. ${kept} selected. The table below has the same numbers.`}
          onPointerMove={point}
          onPointerLeave={() => mark(null)}
          onClick={() => marked !== null && stroke === null && open(marked)}
          style={{ cursor: marked === null ? undefined : "pointer" }}
        >
          {runs.map((run, i) => (
            <RunPath key={i} run={run} d={pathAt(i)} out={!isKept(axes, selection, run)} result={axes[result]} />
          ))}
          {marked !== null && paths[marked] && (
            <RunPath run={runs[marked]!} d={pathAt(marked)} out={false} result={axes[result]} marked />
          )}
          {axes.map((axis, i) => (
            <g key={axis.key} transform={`translate(${x(i)} 0)`}>
              <line className="axis-line" y1={TOP} y2={HEIGHT - BOTTOM} />
              <text className="name" y={14} textAnchor="middle">
                {shortened(axis.label, width / axes.length)}
              </text>
              {ticksOf(axis).map((tick) => (
                <text key={tick} x={6} y={yOf(share(axis, tick)) + 4} className="tick">
                  {shortened(textOn(axis, tick), width / axes.length / 2)}
                </text>
              ))}
              {axis.levels === null && runs.some((run) => run.why !== "") && (
                <text className="bad" y={HEIGHT - 4} textAnchor="middle">
                  ✕ failed
                </text>
              )}
              <KeptRange axis={axis} selection={selection} stroke={stroke?.axis === i ? stroke : null} />
              <rect
                className="stroke-area"
                x={-14}
                width={28}
                y={TOP - 6}
                height={HEIGHT - TOP - BOTTOM + 12}
                onClick={(event) => event.stopPropagation()}
                onPointerDown={(event) => {
                  event.currentTarget.setPointerCapture(event.pointerId);
                  const part = partOf(event);
                  setStroke({ axis: i, from: part, to: part });
                }}
                onPointerMove={(event) => stroke?.axis === i && setStroke({ ...stroke, to: partOf(event) })}
                onPointerUp={finish}
                onPointerCancel={() => setStroke(null)}
              />
            </g>
          ))}
        </svg>
      </div>
      <Text size="xs" c="dimmed" mih="1.6em" className="numbers">
        {marked !== null && runs[marked]
          ? described(axes, runs[marked])
          : "Drag along an axis to select runs. Click a line to open its run."}
      </Text>
      <Group gap="xs" mt="xs">
        {axes.map((axis) => (
          <FilterAxis
            key={axis.key}
            axis={axis}
            kept={selection[axis.key] ?? null}
            keep={(chosen) => {
              const { [axis.key]: _, ...rest } = selection;
              select(chosen === null ? rest : { ...rest, [axis.key]: chosen });
            }}
          />
        ))}
      </Group>
    </Card>
  );
}

export function ScaleKey({ axis }: { axis: Axis }) {
  if (!Number.isFinite(axis.low)) return null;
  return (
    <span className="scale-key numbers">
      {axis.label} {textOn(axis, axis.low)} <i aria-hidden /> {textOn(axis, axis.high)}
    </span>
  );
}

interface RunPathProps {
  run: StudyTrainingRead;
  d: string;
  out: boolean;
  result: Axis | undefined;
  marked?: boolean;
}

function RunPath({ run, d, out, result, marked = false }: RunPathProps) {
  const number = result === undefined ? null : numberOn(result, run);
  const look = [out && "out", run.why !== "" && "failed", marked && "marked"].filter(Boolean).join(" ");
  const stroke = number === null || result === undefined ? "var(--quiet)" : colorOf(share(result, number));
  return <path className={`run ${look}`} d={d} style={run.why === "" ? { stroke } : undefined} />;
}

interface KeptRangeProps {
  axis: Axis;
  selection: Selection;
  stroke: { from: number; to: number } | null;
}

function KeptRange({ axis, selection, stroke }: KeptRangeProps) {
  const kept = selection[axis.key];
  const parts: [number, number][] =
    stroke !== null
      ? [[Math.min(stroke.from, stroke.to), Math.max(stroke.from, stroke.to)]]
      : kept === undefined
        ? []
        : "levels" in kept
          ? kept.levels.map((level): [number, number] => [share(axis, level) - 0.02, share(axis, level) + 0.02])
          : [[share(axis, kept.low), share(axis, kept.high)]];
  return parts.map(([low, high]) => (
    <rect key={low} className="kept-range" x={-7} width={14} y={yOf(high)} height={Math.max(2, yOf(low) - yOf(high))} />
  ));
}

type Point = [axis: number, y: number];

function yOf(part: number): number {
  return TOP + (1 - part) * (HEIGHT - TOP - BOTTOM);
}

/** Where a run crosses the axes; a run without a result ends below its axis. */
function pointsOf(axes: readonly Axis[], run: StudyTrainingRead): Point[] {
  return axes.flatMap((axis, i): Point[] => {
    const number = numberOn(axis, run);
    if (number !== null) return [[i, yOf(share(axis, number))]];
    return axis.levels === null && run.why !== "" ? [[i, HEIGHT - BOTTOM + 14]] : [];
  });
}

function pathOf(points: readonly Point[], x: (axis: number) => number): string {
  return points.map(([axis, y], i) => `${i === 0 ? "M" : "L"}${x(axis).toFixed(1)} ${y.toFixed(1)}`).join("");
}

/** The run whose line passes the point most closely; `at` counts axes. */
function nearest(paths: readonly Point[][], at: number, y: number): number | null {
  let best: number | null = null;
  let least = NEAR_PIXELS;
  paths.forEach((points, run) => {
    for (let i = 1; i < points.length; i++) {
      const [[a, ya], [b, yb]] = [points[i - 1]!, points[i]!];
      if (at < a || at > b) continue;
      const distance = Math.abs(ya + ((at - a) / (b - a)) * (yb - ya) - y);
      if (distance < least) [best, least] = [run, distance];
    }
  });
  return best;
}

function shortened(text: string, room: number): string {
  const most = Math.max(4, Math.floor(room / 7));
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
