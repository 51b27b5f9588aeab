/** A result against each field: every run as a point, the mean at each value with its interval, failed runs counted. */

import { Card, Group, Switch, Table, Text, Title } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { useState } from "react";

import type { FieldValueRead, StudyEffectsRead } from "../../../api/schema";
import { counted, value } from "../../../format";
import { axesOf, numberOn, share, textOn, ticksOf, type Axis } from "./axes";

const HEIGHT = 190;
const LEFT = 62;
const RIGHT = 12;
const TOP = 26;
const BOTTOM = 36;

interface EffectsProps {
  data: StudyEffectsRead;
  marked: number | null;
  mark: (run: number | null) => void;
}

export function Effects({ data, marked, mark }: EffectsProps) {
  const [tables, setTables] = useState(false);
  const axes = axesOf(data);
  const result = axes.find((axis) => axis.levels === null);
  const effect = data.effects[0];
  if (result === undefined || effect === undefined || data.fields.length === 0) return null;
  return (
    <Card component="section" aria-labelledby="effects">
      <Group justify="space-between" gap="xs" mb="xs">
        <Title order={2} size="h4" id="effects">
          {result.label} against each field
        </Title>
        <Switch
          size="sm"
          label="As tables"
          checked={tables}
          onChange={(event) => setTables(event.currentTarget.checked)}
        />
      </Group>
      <div className="small-charts">
        {data.fields.map((field, i) =>
          tables ? (
            <EffectTable key={field.name} field={axes[i]!} result={result} at={effect.fields[i]!} />
          ) : (
            <EffectChart
              key={field.name}
              data={data}
              field={axes[i]!}
              result={result}
              at={effect.fields[i]!}
              marked={marked}
              mark={mark}
            />
          ),
        )}
      </div>
      <Text size="xs" c="dimmed" mt="xs">
        Blue: the mean over all other fields, with its 95 % interval over the seeds. Points: runs. Values of a field are
        evenly spaced.
      </Text>
    </Card>
  );
}

interface OneEffect {
  field: Axis;
  result: Axis;
  at: readonly FieldValueRead[];
}

function EffectChart({ data, field, result, at, marked, mark }: OneEffect & EffectsProps) {
  const { ref, width } = useElementSize();
  const step = (width - LEFT - RIGHT) / at.length;
  const x = (level: number) => LEFT + (level + 0.5) * step;
  const ends = at.flatMap((one) => [one.low, one.high]).filter((end) => end !== null);
  const axis = { ...result, low: Math.min(result.low, ...ends), high: Math.max(result.high, ...ends) };
  const y = (number: number) => TOP + (1 - share(axis, number)) * (HEIGHT - TOP - BOTTOM);
  const means = at.flatMap((one, level) => (one.mean === null ? [] : [[x(level), y(one.mean)] as const]));
  const isNumber = at.every((one) => typeof one.value === "number");
  return (
    <div ref={ref}>
      <svg
        className="drawing"
        width="100%"
        height={HEIGHT}
        role="img"
        aria-label={`${result.label} against ${field.label.toLowerCase()}. ${at.map((one) => inWords(result, one)).join(". ")}`}
        onPointerLeave={() => mark(null)}
      >
        {width > 0 && (
          <>
            {ticksOf(axis, 4).map((tick) => (
              <g key={tick}>
                <line className="rule" x1={LEFT} x2={width - RIGHT} y1={y(tick)} y2={y(tick)} />
                <text x={LEFT - 6} y={y(tick) + 4} textAnchor="end">
                  {textOn(axis, tick)}
                </text>
              </g>
            ))}
            {ticksOf(field, Math.max(1, Math.floor((width - LEFT) / 48))).map((level) => (
              <text key={level} x={x(level)} y={HEIGHT - BOTTOM + 16} textAnchor="middle">
                {clipped(textOn(field, level), step)}
              </text>
            ))}
            {at.map(
              (one, level) =>
                one.failed > 0 && (
                  <text key={level} className="bad" x={x(level)} y={HEIGHT - BOTTOM + 31} textAnchor="middle">
                    ✕ {one.failed}
                  </text>
                ),
            )}
            {data.trainings.map((run, i) => {
              const number = numberOn(result, run);
              const level = numberOn(field, run);
              if (number === null || level === null) return null;
              return (
                <circle
                  key={i}
                  className="dot plain"
                  cx={x(level) + shift(run.seed, step)}
                  cy={y(number)}
                  r={3}
                  onPointerEnter={() => mark(i)}
                />
              );
            })}
            {isNumber && <polyline className="mean" points={means.map((point) => point.join(",")).join(" ")} />}
            {at.map((one, level) => (
              <Mean key={level} x={x(level)} y={y} at={one} />
            ))}
            {marked !== null && <Ring data={data} run={marked} field={field} result={result} x={x} y={y} step={step} />}
            <text className="name" x={LEFT} y={12}>
              {field.label}
            </text>
          </>
        )}
      </svg>
    </div>
  );
}

function Mean({ x, y, at }: { x: number; y: (number: number) => number; at: FieldValueRead }) {
  if (at.mean === null) return null;
  return (
    <>
      {at.low !== null && at.high !== null && (
        <path className="mean" d={`M${x} ${y(at.low)}V${y(at.high)}m-5 0h10M${x - 5} ${y(at.low)}h10`} />
      )}
      <circle className="mean" cx={x} cy={y(at.mean)} r={4} pointerEvents="none" />
    </>
  );
}

interface RingProps {
  data: StudyEffectsRead;
  run: number;
  field: Axis;
  result: Axis;
  x: (level: number) => number;
  y: (number: number) => number;
  step: number;
}

function Ring({ data, run, field, result, x, y, step }: RingProps) {
  const one = data.trainings[run];
  const number = one && numberOn(result, one);
  const level = one && numberOn(field, one);
  if (!one || typeof number !== "number" || typeof level !== "number") return null;
  return <circle className="ring" cx={x(level) + shift(one.seed, step)} cy={y(number)} r={6} pointerEvents="none" />;
}

/** Runs of different seeds stand a little beside each other. */
function shift(seed: number | bigint, step: number): number {
  return ((Number(seed) % 5) - 2) * Math.min(4, step / 14);
}

function clipped(text: string, room: number): string {
  const most = Math.max(3, Math.floor(room / 6.5));
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function inWords(result: Axis, at: FieldValueRead): string {
  const failed = at.failed > 0 ? `, ${at.failed} failed` : "";
  return `${value(at.value)}: ${textOn(result, at.mean)} from ${counted(at.runs, "run")}${failed}`;
}

function EffectTable({ field, result, at }: OneEffect) {
  return (
    <Table verticalSpacing={4} horizontalSpacing="sm" fz="0.8rem" aria-label={`${result.label} against ${field.label}`}>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{field.label}</Table.Th>
          <Table.Th>Mean</Table.Th>
          <Table.Th>95 % interval</Table.Th>
          <Table.Th>Runs</Table.Th>
          <Table.Th>Failed</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {at.map((one, level) => (
          <Table.Tr key={level} className="numbers">
            <Table.Th scope="row">{value(one.value)}</Table.Th>
            <Table.Td>{textOn(result, one.mean)}</Table.Td>
            <Table.Td>{one.low === null ? "–" : `${textOn(result, one.low)} to ${textOn(result, one.high)}`}</Table.Td>
            <Table.Td>{one.runs}</Table.Td>
            <Table.Td>{one.failed}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
