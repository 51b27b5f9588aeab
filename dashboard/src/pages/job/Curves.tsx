/** Every metric of a run as a curve, live. */

import { Card, SimpleGrid, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import * as queries from "../../api/queries";
import type { JobRead, MetricRead, SeriesRead } from "../../api/schema";
import { FINAL } from "../../api/states";
import { Chart } from "../../charts/Chart";
import { CurveControls, useCurveSettings, type CurveSettings } from "../../charts/CurveControls";
import { axisOf, curvesOf } from "../../charts/metrics";
import { Answer, Empty } from "../../components/Feedback";
import { counted, words } from "../../format";

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
            <SimpleGrid cols={{ base: 1, md: series.length === 1 ? 1 : 2 }}>
              {series.map((one) => (
                <Card key={one.name}>
                  <MetricChart
                    series={one}
                    about={experiment?.metrics.find((metric) => metric.name === one.name)}
                    settings={settings}
                    onZoom={(zoomed) => zoomed && one.total_points > one.steps.length && setFine(true)}
                  />
                </Card>
              ))}
            </SimpleGrid>
          </>
        )
      }
    </Answer>
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
  if (job.result !== null || job.state === "failed") return null;
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
