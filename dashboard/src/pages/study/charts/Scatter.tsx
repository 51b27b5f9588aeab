/** Any result or field against another, a point for each run. */

import { Card, Group, Select, Text, Title } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { useMemo, type PointerEvent } from "react";

import { counted } from "../../../format";
import { colorOf, described, isKept, numberOn, share, textOn, ticksOf, type Axis } from "./axes";
import { ScaleKey, type Linked } from "./Parallel";

const HEIGHT = 320;
const LEFT = 74;
const RIGHT = 18;
const TOP = 12;
const BOTTOM = 36;
const NEAR_PIXELS = 18;
/** Of the drawing, so that no point lies on an edge. */
const MARGIN = 0.04;

interface ScatterProps extends Linked {
  x: Axis;
  y: Axis;
  color: Axis | undefined;
  choices: { value: string; label: string }[];
  choose: (name: "x" | "y", key: string) => void;
}

export function Scatter(props: ScatterProps) {
  const { runs, axes, selection, marked, mark, open, x, y, color, choices, choose } = props;
  const { ref, width } = useElementSize();
  const px = (part: number) => LEFT + (MARGIN + part * (1 - 2 * MARGIN)) * (width - LEFT - RIGHT);
  const py = (part: number) => HEIGHT - BOTTOM - (MARGIN + part * (1 - 2 * MARGIN)) * (HEIGHT - TOP - BOTTOM);
  const points = useMemo(
    () =>
      runs.flatMap((run, i) => {
        const [a, b] = [numberOn(x, run), numberOn(y, run)];
        return a === null || b === null ? [] : [{ i, a: share(x, a), b: share(y, b), run }];
      }),
    [runs, x, y],
  );
  const missing = runs.length - points.length;
  const failed = runs.filter((run) => run.why !== "").length;

  function point(event: PointerEvent<SVGSVGElement>) {
    const box = event.currentTarget.getBoundingClientRect();
    const [at, height] = [event.clientX - box.left, event.clientY - box.top];
    let best: number | null = null;
    let least = NEAR_PIXELS;
    for (const one of points) {
      const distance = Math.hypot(px(one.a) - at, py(one.b) - height);
      if (distance < least) [best, least] = [one.i, distance];
    }
    mark(best);
  }
  const at = points.find((one) => one.i === marked);
  return (
    <Card component="section" aria-labelledby="scatter">
      <Group justify="space-between" gap="xs" mb="xs" align="flex-start">
        <Title order={2} size="h4" id="scatter">
          Scatter
        </Title>
        <Group gap="sm">
          <AxisSelect label="Up" value={y.key} choices={choices} choose={(key) => choose("y", key)} />
          <AxisSelect label="Across" value={x.key} choices={choices} choose={(key) => choose("x", key)} />
        </Group>
      </Group>
      {color !== undefined && <ScaleKey axis={color} />}
      <div ref={ref}>
        <svg
          className="drawing"
          width="100%"
          height={HEIGHT}
          role="img"
          aria-label={`${y.label} against ${x.label.toLowerCase()}: ${counted(points.length, "run")}. The table below has the same numbers.`}
          onPointerMove={point}
          onPointerLeave={() => mark(null)}
          onClick={() => marked !== null && open(marked)}
          style={{ cursor: marked === null ? undefined : "pointer" }}
        >
          {width > 0 && (
            <>
              {ticksOf(y, 6).map((tick) => (
                <g key={tick}>
                  <line className="rule" x1={LEFT} x2={width - RIGHT} y1={py(share(y, tick))} y2={py(share(y, tick))} />
                  <text x={LEFT - 8} y={py(share(y, tick)) + 4} textAnchor="end">
                    {textOn(y, tick).slice(0, 10)}
                  </text>
                </g>
              ))}
              {ticksOf(x, Math.max(2, Math.floor(width / 90))).map((tick) => (
                <text key={tick} x={px(share(x, tick))} y={HEIGHT - BOTTOM + 16} textAnchor="middle">
                  {textOn(x, tick).slice(0, 12)}
                </text>
              ))}
              <text className="name" x={px(0.5)} y={HEIGHT - 4} textAnchor="middle">
                {x.label}
              </text>
              {points.map(({ i, a, b, run }) => {
                const shade = color === undefined ? null : numberOn(color, run);
                return (
                  <circle
                    key={i}
                    className={isKept(axes, selection, run) ? "dot" : "dot out"}
                    cx={px(a)}
                    cy={py(b)}
                    r={4.5}
                    style={{
                      fill: shade === null || color === undefined ? "var(--fill)" : colorOf(share(color, shade)),
                    }}
                  />
                );
              })}
              {at !== undefined && <circle className="ring" cx={px(at.a)} cy={py(at.b)} r={8} />}
            </>
          )}
        </svg>
      </div>
      <Text size="xs" c="dimmed" mih="1.6em" className="numbers">
        {marked !== null && runs[marked]
          ? described(axes, runs[marked])
          : missing > 0
            ? `${counted(missing, "run")} without these numbers; ${failed} of them failed.`
            : "Click a point to open its run."}
      </Text>
    </Card>
  );
}

interface AxisSelectProps {
  label: string;
  value: string;
  choices: { value: string; label: string }[];
  choose: (key: string) => void;
}

function AxisSelect({ label, value, choices, choose }: AxisSelectProps) {
  return (
    <Select
      label={label}
      size="xs"
      data={choices}
      value={value}
      onChange={(key) => key !== null && choose(key)}
      allowDeselect={false}
      searchable
    />
  );
}
