/** A row for each combination of the study, with mean and interval of each number over its runs. */

import { Card, MultiSelect, Stack, Table, Text } from "@mantine/core";
import { useState } from "react";

import type { CellRead, StatisticRead, StudyRead } from "../../api/schema";
import { Empty } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { number, NOTHING, value, words } from "../../format";
import { halfWidth } from "./interval";

const SHOWN = 4;

export function Comparison({ study }: { study: StudyRead }) {
  const fields = [...new Set(study.comparison.flatMap((cell) => Object.keys(cell.fields)))];
  const varied = [...new Set(study.comparison.flatMap((cell) => Object.keys(cell.cell)))].filter(
    (name) => name !== "experiment",
  );
  const several = new Set(study.comparison.map((cell) => cell.experiment)).size > 1;
  const [chosen, choose] = useState<string[] | null>(null);
  const shown = chosen ?? fields.slice(0, SHOWN);
  if (study.comparison.length === 0) {
    return (
      <Card>
        <Empty title="No runs to compare yet" />
      </Card>
    );
  }
  return (
    <Stack gap="sm">
      <MultiSelect
        label="Results"
        data={fields.map((name) => ({ value: name, label: words(name) }))}
        value={shown}
        onChange={choose}
        searchable
        hidePickedOptions
        maxValues={12}
      />
      <Text size="sm" c="dimmed">
        Mean ± half-width of the 95 % confidence interval (Student&rsquo;s t). Below: minimum to maximum, number of
        runs.
        {study.comparison.some((cell) => cell.reported_by === "program") &&
          " Programs report their results themselves; the lab did not measure them."}
      </Text>
      <Card padding={0}>
        <Table.ScrollContainer minWidth={280}>
          <Table verticalSpacing={6} horizontalSpacing="md">
            <Table.Thead>
              <Table.Tr>
                {several && <Table.Th>Experiment</Table.Th>}
                {varied.map((name) => (
                  <Table.Th key={name}>{words(name)}</Table.Th>
                ))}
                {shown.map((name) => (
                  <Table.Th key={name}>{words(name)}</Table.Th>
                ))}
                <Table.Th>Runs</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {study.comparison.map((cell, i) => (
                <Table.Tr key={i}>
                  {several && <Table.Td>{cell.experiment}</Table.Td>}
                  {varied.map((name) => (
                    <Table.Td key={name} className="numbers">
                      {name in cell.cell ? value(cell.cell[name]) : NOTHING}
                    </Table.Td>
                  ))}
                  {shown.map((name) => (
                    <Table.Td key={name} className="numbers" style={{ whiteSpace: "nowrap" }}>
                      <Statistic of={cell.fields[name]} />
                    </Table.Td>
                  ))}
                  <Table.Td>
                    <Runs cell={cell} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </Card>
    </Stack>
  );
}

function Statistic({ of }: { of: StatisticRead | undefined }) {
  if (of === undefined) return <>{NOTHING}</>;
  const half = halfWidth(of.sd, of.n);
  return (
    <>
      {number(of.mean, 5)}
      {half !== null && half > 0 && (
        <Text span size="sm" c="dimmed">
          {" "}
          ± {number(half, 2)}
        </Text>
      )}
      {of.n > 1 && (
        <Text size="xs" c="dimmed">
          {number(of.min)} to {number(of.max)}, n {of.n}
        </Text>
      )}
    </>
  );
}

function Runs({ cell }: { cell: CellRead }) {
  const named = [...cell.failed, ...cell.collapsed];
  return (
    <>
      <span className="numbers">
        {cell.job_ids.map((id, i) => (
          <span key={id}>
            {i > 0 && ", "}
            <AnchorLink
              to="/jobs/$id"
              params={{ id }}
              size="sm"
              underline="always"
              aria-label={`Run ${i + 1} of ${cell.experiment}`}
            >
              {i + 1}
            </AnchorLink>
          </span>
        ))}
      </span>
      {named.length > 0 && (
        <Text size="xs" c="dimmed">
          {named.map((run) => `seed ${run.seed}: ${run.why}`).join("; ")}
        </Text>
      )}
    </>
  );
}
