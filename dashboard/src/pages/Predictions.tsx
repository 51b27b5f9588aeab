/** How well the lab predicts GPU memory: the error over its own runs, and the margin that follows. */

import { Card, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import * as queries from "../api/queries";
import type { AccuracyRow } from "../api/schema";
import { Chart } from "../charts/Chart";
import type { Curve } from "../charts/series";
import { Answer, Empty } from "../components/Feedback";
import { AnchorLink } from "../components/Links";
import { NOTHING, number, shortTime } from "../format";

export function Predictions() {
  const query = useQuery({ ...queries.accuracy, refetchInterval: 30_000 });
  return (
    <Stack gap="md">
      <div>
        <Title order={1} size="h2">
          Predictions
        </Title>
        <Text size="sm" c="dimmed" maw="48rem">
          The lab predicts the peak GPU memory of each run, then measures it. The difference is the lab&rsquo;s error.
          It sets the margin that is reserved on top of the next prediction.
        </Text>
      </div>
      <Answer query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Card>
              <Empty title="No run has a prediction and a measurement yet">
                Train something on a GPU:{" "}
                <AnchorLink to="/submit" search={{ experiment: "train-classifier" }} size="sm" underline="always">
                  submit a classifier
                </AnchorLink>
                . Without a GPU, there is nothing to measure.
              </Empty>
            </Card>
          ) : (
            <>
              <OverTime rows={items} />
              <Rows rows={items} />
            </>
          )
        }
      </Answer>
    </Stack>
  );
}

const DAY_SECONDS = 86_400;

function OverTime({ rows }: { rows: AccuracyRow[] }) {
  const curves = useMemo(() => rows.map(curveOf).filter((curve) => curve.xs.length > 0), [rows]);
  const xs = curves.flatMap((curve) => curve.xs);
  const long = Math.max(...xs) - Math.min(...xs) > 3 * DAY_SECONDS;
  if (curves.length === 0) {
    return (
      <Card>
        <Empty title="No measured device peak yet">
          The driver did not report the memory of these runs. The allocator&rsquo;s readings are in the table.
        </Empty>
      </Card>
    );
  }
  return (
    <Card>
      <Chart
        title="Error of the predicted peak (%)"
        curves={curves}
        xLabel="time"
        calendar
        formatX={(x) => shortTime(new Date(1000 * x), !long)}
        formatY={(y) => `${number(y, 3)} %`}
        height={300}
      />
      <Text size="xs" c="dimmed" mt={4}>
        Each point is a run. Above zero, it needed more than predicted.
      </Text>
    </Card>
  );
}

function curveOf(row: AccuracyRow): Curve {
  const measured = row.points.filter((point) => point.measured_bytes !== null);
  return {
    label: `${row.family}, ${row.gpu}`,
    xs: measured.map((point) => Date.parse(point.at) / 1000),
    ys: measured.map((point) => 100 * (point.measured_bytes! / point.predicted_bytes - 1)),
    points: true,
  };
}

/** A share as a percentage with its sign. */
function signed(share: number | null): string {
  return share === null ? NOTHING : `${share > 0 ? "+" : ""}${(100 * share).toFixed(1)}\u00a0%`;
}

function Rows({ rows }: { rows: AccuracyRow[] }) {
  return (
    <Card padding={0}>
      <Table.ScrollContainer minWidth={320}>
        <Table verticalSpacing={6} horizontalSpacing="md">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Models</Table.Th>
              <Table.Th visibleFrom="sm">GPU</Table.Th>
              <Table.Th>Runs</Table.Th>
              <Table.Th>Median error</Table.Th>
              <Table.Th visibleFrom="sm">95th percentile</Table.Th>
              <Table.Th visibleFrom="md">Median error of the allocator&rsquo;s peak</Table.Th>
              <Table.Th>Margin</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={`${row.family} ${row.gpu}`}>
                <Table.Td fw={550}>
                  {row.family}
                  <Text size="xs" c="dimmed" hiddenFrom="sm">
                    {row.gpu}
                  </Text>
                </Table.Td>
                <Table.Td visibleFrom="sm">{row.gpu}</Table.Td>
                <Table.Td className="numbers">{row.runs}</Table.Td>
                <Table.Td className="numbers">{signed(row.median_error)}</Table.Td>
                <Table.Td className="numbers" visibleFrom="sm">
                  {signed(row.p95_error)}
                </Table.Td>
                <Table.Td className="numbers" visibleFrom="md">
                  {signed(row.median_allocated_error)}
                </Table.Td>
                <Table.Td className="numbers">{signed(row.margin)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}
