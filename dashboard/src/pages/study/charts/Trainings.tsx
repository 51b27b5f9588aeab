/** The selected runs as a table: the same numbers as in the charts. */

import { Button, Card, Group, Table, Text, Title, UnstyledButton } from "@mantine/core";
import { GitCompareArrows } from "lucide-react";
import { useState } from "react";

import { AnchorLink, ButtonLink } from "../../../components/Links";
import { JobBadge } from "../../../components/State";
import { integer } from "../../../format";
import { colorOf, isKept, numberOn, share, textOn, type Axis } from "./axes";
import type { Linked } from "./Parallel";

const FIRST = 20;
const MAX_COMPARED = 20;

export function Trainings({ runs, axes, selection, select, marked, mark }: Omit<Linked, "open">) {
  const [all, setAll] = useState(false);
  const [sort, setSort] = useState<{ key: string; down: boolean } | null>(null);
  const kept = runs.map((run, i) => ({ run, i })).filter(({ run }) => isKept(axes, selection, run));
  const by = axes.find((axis) => axis.key === sort?.key);
  const sorted = by === undefined ? kept : sortedBy(kept, by, sort?.down === true);
  const shown = all ? sorted : sorted.slice(0, FIRST);
  const jobs = [...new Set(sorted.flatMap(({ run }) => run.job_id ?? []))];
  const result = axes.find((axis) => axis.levels === null);
  return (
    <Card component="section" aria-labelledby="runs">
      <Group justify="space-between" gap="xs" mb="xs">
        <Title order={2} size="h4" id="runs">
          Runs
        </Title>
        <Group gap="xs">
          <Text size="sm" c="dimmed" role="status">
            {kept.length === runs.length
              ? `All ${integer(runs.length)}`
              : `${integer(kept.length)} of ${integer(runs.length)} selected`}
          </Text>
          {kept.length < runs.length && (
            <Button size="xs" variant="default" onClick={() => select({})}>
              Show all
            </Button>
          )}
          {jobs.length >= 2 && (
            <ButtonLink
              size="xs"
              variant="default"
              leftSection={<GitCompareArrows size={14} aria-hidden />}
              to="/compare"
              search={{ jobs: jobs.slice(0, MAX_COMPARED) }}
            >
              Compare {Math.min(jobs.length, MAX_COMPARED)}
            </ButtonLink>
          )}
        </Group>
      </Group>
      <Table.ScrollContainer minWidth={120 + 110 * axes.length}>
        <Table verticalSpacing={4} horizontalSpacing="sm" fz="0.85rem">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Seed</Table.Th>
              {axes.map((axis) => (
                <Table.Th
                  key={axis.key}
                  aria-sort={sort?.key === axis.key ? (sort.down ? "descending" : "ascending") : undefined}
                >
                  <UnstyledButton
                    fz="inherit"
                    fw="inherit"
                    onClick={() => setSort({ key: axis.key, down: sort?.key === axis.key && !sort.down })}
                  >
                    {axis.label}
                    {sort?.key === axis.key && (sort.down ? " ↓" : " ↑")}
                  </UnstyledButton>
                </Table.Th>
              ))}
              <Table.Th>State</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody onMouseLeave={() => mark(null)}>
            {shown.map(({ run, i }) => (
              <Table.Tr
                key={i}
                className={i === marked ? "marked numbers" : "numbers"}
                onMouseEnter={() => mark(i)}
                onFocus={() => mark(i)}
                onBlur={() => mark(null)}
              >
                <Table.Td>
                  <Hue axis={result} run={run} />
                  {run.job_id === null ? (
                    String(run.seed)
                  ) : (
                    <AnchorLink
                      to="/jobs/$id"
                      params={{ id: run.job_id }}
                      size="sm"
                      underline="always"
                      aria-label={`Run with seed ${run.seed}`}
                    >
                      {String(run.seed)}
                    </AnchorLink>
                  )}
                </Table.Td>
                {axes.map((axis) => (
                  <Table.Td key={axis.key}>{textOn(axis, numberOn(axis, run))}</Table.Td>
                ))}
                <Table.Td>
                  <JobBadge state={run.state} size="sm" />
                  {run.why !== "" && (
                    <Text size="xs" c="dimmed" className="break" maw="22rem">
                      {run.why}
                    </Text>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {sorted.length > shown.length && (
        <Button size="xs" variant="default" mt="xs" onClick={() => setAll(true)}>
          Show all {integer(sorted.length)} rows
        </Button>
      )}
    </Card>
  );
}

/** The colour of the run in the charts. */
function Hue({ axis, run }: { axis: Axis | undefined; run: Linked["runs"][number] }) {
  const number = axis === undefined ? null : numberOn(axis, run);
  if (axis === undefined || number === null) return <span className="run-hue" aria-hidden />;
  return <span className="run-hue" style={{ background: colorOf(share(axis, number)) }} aria-hidden />;
}

interface Row {
  run: Linked["runs"][number];
  i: number;
}

/** Runs without the number come last, whichever way. */
function sortedBy(rows: Row[], axis: Axis, down: boolean): Row[] {
  const known = (row: Row) => numberOn(axis, row.run);
  return [...rows].sort((a, b) => {
    const [one, other] = [known(a), known(b)];
    if (one === null || other === null) return Number(one === null) - Number(other === null);
    return down ? other - one : one - other;
  });
}
