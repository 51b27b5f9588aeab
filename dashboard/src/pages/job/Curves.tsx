/** Every metric of a run as a curve, live. */

import { Card, SimpleGrid, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState, type ReactNode } from "react";

import * as queries from "../../api/queries";
import type { JobRead, MetricRead, SeriesRead } from "../../api/schema";
import { FINAL } from "../../api/states";
import { Chart } from "../../charts/Chart";
import { CurveControls, useCurveSettings, type CurveSettings } from "../../charts/CurveControls";
import { axisOf, curvesOf } from "../../charts/metrics";
import { Answer, Empty } from "../../components/Feedback";
import { counted, words } from "../../format";
import { isRemoved, Removed } from "../personal/Removed";
import { groupsOf, MAX_FIRST } from "./curves/groups";

/** Enough for a wide screen; a zoomed chart loads all points. */
const ROUGH_POINTS = 2000;
const ALL_POINTS = 1_000_000;

export function Curves({ job }: { job: JobRead }) {
  const [fine, setFine] = useState(false);
  const query = useQuery(queries.metrics(job.id, fine ? ALL_POINTS : ROUGH_POINTS));
  const { data: experiment } = useQuery(queries.experiment(job.experiment));
  const [settings, change] = useCurveSettings();
  return (
    <Answer query={query}>
      {({ series }) =>
        series.length === 0 ? (
          <NoCurves job={job} />
        ) : (
          <>
            <CurveControls settings={settings} change={change} />
            <Grouped
              series={series}
              metrics={experiment?.metrics ?? []}
              chart={(one) => (
                <MetricChart
                  series={one}
                  about={experiment?.metrics.find((metric) => metric.name === one.name)}
                  settings={settings}
                  onZoom={(zoomed) => zoomed && one.total_points > one.steps.length && setFine(true)}
                />
              )}
            />
          </>
        )
      }
    </Answer>
  );
}

interface GroupedProps {
  series: readonly SeriesRead[];
  metrics: readonly MetricRead[];
  chart: (series: SeriesRead) => ReactNode;
}

/** The three that matter on top, the others by group. */
function Grouped({ series, metrics, chart }: GroupedProps) {
  const directed = metrics.filter((metric) => metric.direction !== "none").map((metric) => metric.name);
  const { first, rest } = groupsOf(series, directed);
  return (
    <>
      <Charts series={first} chart={chart} columns={first.length > MAX_FIRST ? 2 : first.length} />
      {rest.map(({ name, curves }) => (
        <section key={name} aria-label={`${name} charts`}>
          <Text fw={600} size="sm" mb="xs">
            {name}{" "}
            <Text span c="dimmed" size="sm">
              {counted(curves.length, "chart")}
            </Text>
          </Text>
          <Charts series={curves} chart={chart} columns={MAX_FIRST} />
        </section>
      ))}
    </>
  );
}

function Charts({ series, chart, columns }: Pick<GroupedProps, "series" | "chart"> & { columns: number }) {
  return (
    <SimpleGrid cols={{ base: 1, md: Math.min(columns, 2), lg: columns }}>
      {series.map((one) => (
        <Card key={one.name}>{chart(one)}</Card>
      ))}
    </SimpleGrid>
  );
}

/** A finished run shows its result or its output instead; only a run without any of them says so. */
function NoCurves({ job }: { job: JobRead }) {
  if (!FINAL.has(job.state)) {
    return (
      <Card>
        <Empty title="No curves yet">They appear when the run records its first metric.</Empty>
      </Card>
    );
  }
  if (isRemoved(job, "metrics")) return <Removed job={job} part="metrics" />;
  if (job.result !== null || job.state === "failed" || isRemoved(job, "result")) return null;
  return (
    <Card>
      <Empty title="No results">This run recorded no metrics and no result.</Empty>
    </Card>
  );
}

interface MetricChartProps {
  series: SeriesRead;
  about: MetricRead | undefined;
  settings: CurveSettings;
  onZoom: (zoomed: boolean) => void;
}

function MetricChart({ series, about, settings, onZoom }: MetricChartProps) {
  const { smoothing, log } = settings;
  const curves = useMemo(() => curvesOf(series, words(series.name), 0, settings), [series, settings]);
  const skipped = Object.values(series.nonfinite).length;
  const unit = about && about.unit !== "1" ? ` (${about.unit})` : "";
  const notes = [
    about?.description,
    smoothing > 0 ? "The pale line shows the recorded values" : undefined,
    skipped > 0 ? `${counted(skipped, "value")} not finite, left out` : undefined,
  ];
  return (
    <>
      <Chart title={words(series.name) + unit} curves={curves} {...axisOf(settings)} log={log} onZoom={onZoom} />
      <Text size="xs" c="dimmed">
        {notes.filter((note) => note !== undefined && note !== "").join(". ")}
      </Text>
    </>
  );
}
