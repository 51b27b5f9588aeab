/** What the GPUs of a machine did: utilisation, memory, temperature and power over time. */

import { Group, SegmentedControl, SimpleGrid, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";

import * as queries from "../../api/queries";
import type { GpuHistoryRead, NodeHistoryRead } from "../../api/schema";
import { Chart } from "../../charts/Chart";
import type { Curve } from "../../charts/series";
import { Answer, Empty } from "../../components/Feedback";
import { bytes, number, shortTime } from "../../format";

const SPANS = { "1": "1 h", "24": "24 h", "168": "7 d" };

interface Kind {
  title: string;
  of: (gpu: GpuHistoryRead) => readonly (number | null)[];
  format: (value: number) => string;
  binary?: boolean;
}

const KINDS: Kind[] = [
  { title: "Utilisation (%)", of: (gpu) => gpu.utilization_percent, format: (value) => `${number(value, 3)} %` },
  { title: "Memory in use", of: (gpu) => gpu.memory_used_bytes, format: bytes, binary: true },
  { title: "Temperature (°C)", of: (gpu) => gpu.temperature_celsius, format: (value) => `${number(value, 3)} °C` },
  { title: "Power (W)", of: (gpu) => gpu.power_watts, format: (value) => `${number(value, 3)} W` },
];

export function History({ node }: { node: string }) {
  const [span, setSpan] = useState("24");
  const query = useQuery(queries.nodeHistory(node, Number(span)));
  return (
    <div className="device">
      <Group justify="space-between" gap="xs">
        <Title order={3} size="h6">
          GPUs over time
        </Title>
        <SegmentedControl
          size="xs"
          aria-label={`Time shown of ${node}`}
          data={Object.entries(SPANS).map(([value, label]) => ({ value, label }))}
          value={span}
          onChange={setSpan}
        />
      </Group>
      <Answer query={query}>{(data) => <Charts data={data} />}</Answer>
    </div>
  );
}

function Charts({ data }: { data: NodeHistoryRead }) {
  const charts = useMemo(
    () => KINDS.map((kind) => ({ ...kind, curves: data.gpus.map((gpu) => curveOf(data, gpu, kind)) })),
    [data],
  );
  if (charts.every(({ curves }) => curves.every(({ ys }) => ys.every((value) => value === null)))) {
    return <Empty title="No readings in this time" />;
  }
  const withDay = data.cell_seconds > 600;
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
      {charts.map(({ title, curves, format, binary }) => (
        <Chart
          key={title}
          title={title}
          curves={curves}
          xLabel="time"
          calendar
          formatX={(x) => (withDay ? shortTime(new Date(1000 * x), true) : timeOf(x))}
          formatY={format}
          binary={binary}
          fromZero
          gaps
          height={180}
        />
      ))}
    </SimpleGrid>
  );
}

function timeOf(seconds: number): string {
  return shortTime(new Date(1000 * seconds), true)
    .split(", ")
    .at(-1)!;
}

function curveOf(data: NodeHistoryRead, gpu: GpuHistoryRead, kind: Kind): Curve {
  const start = Date.parse(data.start) / 1000;
  const ys = [...kind.of(gpu)];
  return { label: `GPU ${gpu.index}`, xs: ys.map((_, cell) => start + cell * data.cell_seconds), ys };
}
