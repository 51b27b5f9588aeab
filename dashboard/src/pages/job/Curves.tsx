/** Every metric of a run as a curve, live. */

import { Card, SimpleGrid, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import * as queries from "../../api/queries";
import type { JobRead, MetricRead, SeriesRead } from "../../api/schema";
import { Chart } from "../../charts/Chart";
import { CurveControls, useCurveSettings, type CurveSettings } from "../../charts/CurveControls";
import { smoothed, type Curve } from "../../charts/series";
import { Answer, Empty } from "../../components/Feedback";
import { counted, duration, number, words } from "../../format";
import { FINAL } from "../../api/states";

/** Enough for a wide screen; a chart that is zoomed asks for everything. */
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
          FINAL.has(job.state) ? null : (
            <Card>
              <Empty title="No curve yet">They appear here as soon as the run records its first number.</Empty>
            </Card>
          )
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

interface MetricChartProps {
  series: SeriesRead;
  about: MetricRead | undefined;
  settings: CurveSettings;
  onZoom: (zoomed: boolean) => void;
}

function MetricChart({ series, about, settings, onZoom }: MetricChartProps) {
  const { smoothing, log, axis } = settings;
  const curves = useMemo(() => curvesOf(series, settings), [series, settings]);
  const strange = Object.values(series.nonfinite).length;
  const unit = about && about.unit !== "1" ? ` (${about.unit})` : "";
  return (
    <>
      <Chart
        title={words(series.name) + unit}
        curves={curves}
        xLabel={axis === "step" ? "step" : "time"}
        formatX={axis === "step" ? number : duration}
        clock={axis === "time"}
        log={log}
        onZoom={onZoom}
      />
      <Text size="xs" c="dimmed">
        {about?.description}
        {smoothing > 0 && ". The pale line is what was recorded"}
        {strange > 0 && `. Left out as not finite: ${counted(strange, "point")}`}
      </Text>
    </>
  );
}

function curvesOf(series: SeriesRead, { smoothing, axis }: CurveSettings): Curve[] {
  const began = series.times[0] ?? 0;
  const xs = axis === "step" ? series.steps : series.times.map((time) => time - began);
  const main = { label: words(series.name), xs, ys: smoothed(series.values, smoothing), color: 0 };
  return smoothing > 0 ? [{ label: "as recorded", xs, ys: series.values, color: 0, faint: true }, main] : [main];
}
