/** Memory and utilisation over time: device, process and allocator, beside the prediction. */

import { Card, List, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import * as queries from "../../api/queries";
import type { JobRead, SamplesRead, SampleTrack, UsageRead } from "../../api/schema";
import { Chart } from "../../charts/Chart";
import type { Mark } from "../../charts/options";
import type { Curve } from "../../charts/series";
import { Facts } from "../../components/Facts";
import { Answer, Empty } from "../../components/Feedback";
import { bytes, duration, number, tally } from "../../format";
import { isRemoved, Removed } from "../personal/Removed";
import { JobHero } from "../memory/JobHero";
import { Snapshots } from "./Snapshot";
import { FINAL } from "../../api/states";

const POINTS = 4000;
const HOST = { rss_bytes: "Main memory (resident)" };
const DEVICE = {
  device_used_bytes: "Device (NVML)",
  process_used_bytes: "This job's processes (NVML)",
  reserved_bytes: "Allocator, reserved",
  allocated_bytes: "Allocator, allocated",
};
const UTILISATION = { utilization_percent: "GPU", cpu_percent: "CPU (100 % is one core)" };
const LABELS: Record<string, string> = {
  ...HOST,
  ...DEVICE,
  utilization_percent: "GPU utilisation",
  cpu_percent: "CPU utilisation",
  power_watts: "Power",
  energy_joules: "Energy",
  temperature_celsius: "Temperature",
};
const REASONS: Record<string, string> = {
  not_supported: "this GPU does not support it",
  no_process: "the driver lists no process of this job",
  pid_unknown: "the driver reports process ids of another namespace",
  first_reading: "a rate needs two readings",
  no_permission: "the driver allows it only for other users",
  gpu_lost: "the GPU was lost",
  no_readings: "fewer than two readings",
  counter_reset: "the driver's counter was reset",
  implausible: "the driver reported an impossible value",
};

export function Memory({ job }: { job: JobRead }) {
  const query = useQuery(queries.samples(job.id, POINTS));
  return (
    <Stack>
      <JobHero job={job} />
      <Answer query={query}>
        {(samples) =>
          isRemoved(job, "samples") ? (
            <Removed job={job} part="samples" />
          ) : samples.tracks.every((track) => track.source === "prediction") ? (
            <Card>
              <Empty title={FINAL.has(job.state) ? "No measurements" : "No measurements yet"}>
                {FINAL.has(job.state)
                  ? "The run ended before the first reading. The lab reads ten times per second."
                  : "They appear when the run starts."}
              </Empty>
            </Card>
          ) : (
            <Timelines job={job} samples={samples} />
          )
        }
      </Answer>
      <Snapshots job={job} />
    </Stack>
  );
}

function Timelines({ job, samples }: { job: JobRead; samples: SamplesRead }) {
  const began = useMemo(() => Math.min(...measured(samples).map((track) => track.times[0] ?? Infinity)), [samples]);
  const view = useMemo(() => viewsOf(samples, began), [samples, began]);
  const marks: Mark[] = samples.phases.map((phase) => ({ x: phase.time - began, label: phase.name }));
  const common = { xLabel: "time", formatX: duration, clock: true, marks };
  const missing = samples.tracks.flatMap((track) =>
    Object.entries(track.reasons).map(([field, reason]) => ({ field, reason })),
  );
  return (
    <Stack>
      {view.device.length > 0 && (
        <Card>
          <Chart
            title={["GPU memory", tally(job.gpu_names)].filter(Boolean).join(", ")}
            curves={view.device}
            {...common}
            formatY={bytes}
            binary
            fromZero
            height={300}
          />
          <Text size="xs" c="dimmed" mt={4}>
            Device minus processes: other jobs and driver. Processes minus reserved: CUDA context. Reserved minus
            allocated: the allocator&rsquo;s cache.
            {samples.predicted_peak_bytes === null && " This run has no prediction."}
            {samples.phases.some((phase) => phase.reported_by === "program") &&
              " The program itself reported the phases and the allocator's readings; the lab measured the rest."}
          </Text>
        </Card>
      )}
      {view.host.length > 0 && (
        <Card>
          <Chart title="Main memory" curves={view.host} {...common} formatY={bytes} binary fromZero />
          {job.gpu_uuids.length === 0 && (
            <Text size="xs" c="dimmed" mt={4}>
              This run uses no GPU.
            </Text>
          )}
        </Card>
      )}
      {view.use.length > 0 && (
        <Card>
          <Chart title="Utilisation" curves={view.use} {...common} formatY={(y) => `${number(y)} %`} fromZero />
        </Card>
      )}
      {view.power.length > 0 && (
        <Card>
          <Chart
            title="Power"
            curves={view.power}
            {...common}
            formatY={(y) => `${number(y)} W`}
            fromZero
            height={180}
          />
        </Card>
      )}
      <Usage usage={samples.usage} />
      {missing.length > 0 && (
        <div>
          <Text size="sm" fw={600}>
            Missing readings
          </Text>
          <List size="sm" c="dimmed">
            {missing.map(({ field, reason }, i) => (
              <List.Item key={i}>
                {LABELS[field] ?? field}: {REASONS[reason] ?? reason}
              </List.Item>
            ))}
          </List>
        </div>
      )}
    </Stack>
  );
}

function Usage({ usage }: { usage: UsageRead[] }) {
  const measured = usage.filter((one) => one.energy_joules !== null || one.gib_seconds !== null);
  if (measured.length === 0) return null;
  return (
    <Card>
      <Stack gap="sm">
        {measured.map((one) => (
          <Facts
            key={`${one.attempt} ${one.gpu_uuid}`}
            columns={{ base: 2, sm: 4 }}
            facts={[
              ["Attempt", String(one.attempt)],
              [
                "Energy of the GPU",
                one.energy_joules === null
                  ? unknown(one, "energy_joules")
                  : `${number(one.energy_joules, 3)} J${one.shared ? ", other jobs included" : ""}`,
              ],
              [
                "Memory over time",
                one.gib_seconds === null ? unknown(one, "gib_seconds") : `${number(one.gib_seconds, 3)} GiB s`,
              ],
              ["Measured for", duration(one.seconds)],
            ]}
          />
        ))}
      </Stack>
    </Card>
  );
}

function unknown(one: UsageRead, field: string): string {
  const reason = one.reasons[field] ?? "unknown reason";
  return `not measured: ${REASONS[reason] ?? reason}`;
}

function viewsOf(samples: SamplesRead, began: number) {
  const several = new Set(samples.tracks.map((track) => track.gpu_uuid).filter(Boolean)).size > 1;
  const attempts = new Set(samples.tracks.map((track) => track.attempt)).size > 1;
  const pick = (names: Record<string, string>, sources: string[]): Curve[] =>
    samples.tracks
      .filter((track) => sources.includes(track.source))
      .flatMap((track) =>
        Object.entries(names)
          .filter(([field]) => track.values[field]?.some((reading) => typeof reading === "number"))
          .map(([field, label]) => curve(track, field, label + suffix(track, several, attempts), began)),
      );
  const device = pick(DEVICE, ["gpu", "allocator"]);
  if (samples.predicted_peak_bytes !== null && device.length > 0) {
    const last = Math.max(...measured(samples).map((track) => (track.times.at(-1) ?? began) - began));
    const y = samples.predicted_peak_bytes;
    device.push({ label: "Predicted peak", xs: [0, last], ys: [y, y], dash: [8, 5], color: 7 });
  }
  return {
    device,
    host: pick(HOST, ["host"]),
    use: pick(UTILISATION, ["gpu", "host"]),
    power: pick({ power_watts: "Board" }, ["gpu"]),
  };
}

/** The measured tracks; a prediction has no times. */
function measured(samples: SamplesRead): SampleTrack[] {
  return samples.tracks.filter((track) => track.source !== "prediction");
}

function suffix(track: SampleTrack, several: boolean, attempts: boolean): string {
  const gpu = several && track.gpu_uuid !== null ? `, ${track.gpu_uuid.slice(0, 8)}` : "";
  const reporter = track.reported_by === "program" ? " (the program's own reading)" : "";
  return reporter + gpu + (attempts ? `, attempt ${track.attempt}` : "");
}

function curve(track: SampleTrack, field: string, label: string, began: number): Curve {
  const ys = track.values[field]!.map((reading: unknown) => (typeof reading === "number" ? reading : null));
  return { label, xs: track.times.map((time) => time - began), ys };
}
