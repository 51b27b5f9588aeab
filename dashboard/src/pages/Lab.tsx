/** The machines now, the jobs on them, and why other jobs wait. */

import { Badge, Card, Group, SimpleGrid, Stack, Table, Text, Title, Tooltip } from "@mantine/core";
import { useQueries, useQuery } from "@tanstack/react-query";
import { Cpu } from "lucide-react";
import { lazy, Suspense } from "react";

import * as queries from "../api/queries";
import type { GpuRead, JobSummary, LabQueueRead, NodeRead } from "../api/schema";
import { part } from "../browser/loading";
import { Answer, Empty } from "../components/Feedback";
import { JobLink } from "../components/JobLink";
import { AnchorLink } from "../components/Links";
import { Meter, Spark, useTrail } from "../components/Meter";
import { JobBadge, NodeBadge, State, UNHEALTHY } from "../components/State";

import { Ago, useNow } from "../components/Time";
import { ago, bytes, counted, duration, integer, NOTHING, percent, secondsBetween } from "../format";
import { LabHours } from "./lab/LabHours";

const Timeline = lazy(async () => ({ default: (await part(() => import("./lab/Timeline"))).Timeline }));

/** Queued jobs whose place and reason are shown; a queue may be long. */
const MAX_EXPLAINED = 40;

export function Lab() {
  const nodes = useQuery(queries.nodes);
  const unfinished = useQuery(queries.unfinishedJobs);
  const { data: busy } = useQuery(queries.labQueue);
  const all = unfinished.data?.items ?? [];
  const active = all.filter((job) => job.state !== "queued");
  const waiting = all.filter((job) => job.state === "queued").reverse();
  return (
    <Stack gap="lg">
      <Title order={1} size="h2">
        Lab
      </Title>
      <Answer query={nodes}>
        {({ items }) => (
          <>
            <Summary nodes={items} busy={busy} />
            {items.length > 0 && (
              <Suspense fallback={<Card h={220} />}>
                <Timeline nodes={items.map((node) => node.name)} />
              </Suspense>
            )}
            {items.length === 0 ? (
              <Card>
                <Empty title="No machine has reported yet">
                  Start a worker on each GPU machine: <code>python -m worker</code>. <code>gpulab up</code> starts one
                  on this machine.
                </Empty>
              </Card>
            ) : (
              items.map((node) => (
                <NodeCard key={node.name} node={node} jobs={active.filter((job) => job.node === node.name)} />
              ))
            )}
          </>
        )}
      </Answer>
      <Answer query={unfinished}>{() => <Waiting jobs={waiting} busy={busy} />}</Answer>
      {nodes.data && <LabHours nodes={nodes.data.items} />}
    </Stack>
  );
}

function Summary({ nodes, busy }: { nodes: NodeRead[]; busy: LabQueueRead | undefined }) {
  const gpus = nodes.flatMap((node) => node.gpus);
  const taken = gpus.filter((gpu) => gpu.memory_reserved_bytes > 0).length;
  const slots = nodes.filter((node) => node.state === "up");
  const facts: [string, string, string][] = [
    gpus.length > 0
      ? ["GPUs in use", `${taken} of ${gpus.length}`, "with reserved memory"]
      : ["CPU slots in use", `${sum(slots, "slots_used")} of ${sum(slots, "slots")}`, "no GPU in this lab"],
    ["Running", busy ? integer(busy.running) : NOTHING, busy ? `${integer(busy.your_running)} of them yours` : ""],
    ["Queued", busy ? integer(busy.waiting) : NOTHING, busy ? `${integer(busy.your_waiting)} of them yours` : ""],
    ["Machines up", `${slots.length} of ${nodes.length}`, nodes.length === 1 ? nodes[0]!.name : "known to the lab"],
  ];
  return (
    <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
      {facts.map(([label, figure, note]) => (
        <Card key={label} padding="sm">
          <Text size="sm" c="dimmed">
            {label}
          </Text>
          <Text fz="1.6rem" fw={650} lh={1.2} className="numbers">
            {figure}
          </Text>
          <Text size="xs" c="dimmed" className="break">
            {note}
          </Text>
        </Card>
      ))}
    </SimpleGrid>
  );
}

function sum(nodes: NodeRead[], field: "slots" | "slots_used"): number {
  return nodes.reduce((total, node) => total + node[field], 0);
}

function NodeCard({ node, jobs }: { node: NodeRead; jobs: JobSummary[] }) {
  const now = useNow(1000);
  const onCpu = jobs.filter((job) => job.gpu_uuids.length === 0);
  return (
    <Card component="section" aria-label={`Machine ${node.name}`}>
      <Group justify="space-between" mb="sm" gap="xs">
        <Group gap="sm">
          <Title order={2} size="h4">
            {node.name}
          </Title>
          <NodeBadge state={node.state} />
          {node.reason && (
            <Text size="sm" c="dimmed">
              {node.reason}
            </Text>
          )}
        </Group>
        <Text size="sm" c="dimmed" className="numbers">
          last heartbeat {ago(node.heartbeat_at, now)}
        </Text>
      </Group>
      <Stack gap="sm">
        {node.gpus.map((gpu) => (
          <Gpu key={gpu.uuid} gpu={gpu} jobs={jobs.filter((job) => job.gpu_uuids.includes(gpu.uuid))} now={now} />
        ))}
        <div className="device">
          <Group gap="xs" wrap="nowrap">
            <Cpu size={18} aria-hidden />
            <Text fw={600} size="sm">
              CPU
            </Text>
            {node.gpus.length === 0 && (
              <Text size="xs" c="dimmed">
                no GPU: {node.gpu_reason ?? "none found"}
              </Text>
            )}
          </Group>
          <Meter
            label={`CPU slots of ${node.name}`}
            total={node.slots}
            used={node.slots_used}
            text={[[`${node.slots_used} of ${node.slots} slots in use`]]}
          />
          <Occupants jobs={onCpu} now={now} idle="no jobs" />
        </div>
      </Stack>
    </Card>
  );
}

function Gpu({ gpu, jobs, now }: { gpu: GpuRead; jobs: JobSummary[]; now: number }) {
  const { latest } = gpu;
  const used = reading(latest, "device_used_bytes");
  const busy = reading(latest, "utilization_percent");
  const power = reading(latest, "power_watts");
  const heat = reading(latest, "temperature_celsius");
  const reasons = (latest["reasons"] ?? {}) as Record<string, string>;
  const trail = useTrail(gpu.uuid, busy, now);
  const total = gpu.memory_total_bytes;
  const predicted = useQueries({
    queries: jobs.map((job) => queries.predictedPeak(job.id)),
    combine: (peaks) => peaks.reduce<number | null>((sum, { data }) => (data == null ? sum : (sum ?? 0) + data), null),
  });
  return (
    <div className="device" role="group" aria-label={`GPU ${gpu.index} of ${gpu.node}`}>
      <Group justify="space-between" gap="xs">
        <Group gap="xs">
          <Badge variant="default" tt="none" radius="sm">
            {gpu.index}
          </Badge>
          <Tooltip label={gpu.uuid}>
            <Text fw={600} size="sm" tabIndex={0}>
              {gpu.name}
            </Text>
          </Tooltip>
          {!gpu.healthy && <State look={UNHEALTHY} />}
        </Group>
        <Group gap="md" className="numbers">
          <Reading
            name="Utilisation"
            value={busy === null ? percent(busy) : `${percent(busy)} busy`}
            reason={reasons["utilization_percent"]}
          >
            <Spark values={trail} max={100} />
          </Reading>
          <Reading
            name="Power"
            value={power === null ? NOTHING : `${Math.round(power)} W`}
            reason={reasons["power_watts"]}
          />
          <Reading
            name="Temperature"
            value={heat === null ? NOTHING : `${Math.round(heat)} °C`}
            reason={reasons["temperature_celsius"]}
          />
        </Group>
      </Group>
      {!gpu.healthy && (
        <Text size="sm" className="break">
          {gpu.reason ?? "The driver gave no reason."}
        </Text>
      )}
      <Meter
        label={`Memory of GPU ${gpu.index} of ${gpu.node}`}
        total={total}
        used={used}
        reserved={gpu.memory_reserved_bytes}
        predicted={predicted}
        text={[
          used === null
            ? [`use unknown (${reasons["device_used_bytes"] ?? "no reading yet"})`]
            : [`${bytes(used)} used`, "used"],
          [`${bytes(gpu.memory_reserved_bytes)} reserved`, "reserved"],
          ...(predicted === null ? [] : [[`${bytes(predicted)} predicted`, "predicted"] as const]),
          [`of ${bytes(total)}`],
        ]}
      />
      <Occupants jobs={jobs} now={now} idle={gpu.memory_reserved_bytes > 0 ? "another student's job" : "free"} />
    </div>
  );
}

function reading(latest: Record<string, unknown>, name: string): number | null {
  const found = latest[name];
  return typeof found === "number" ? found : null;
}

function Reading({
  name,
  value,
  reason,
  children,
}: {
  name: string;
  value: string;
  reason?: string;
  children?: React.ReactNode;
}) {
  return (
    <Tooltip label={reason ? `${name}: unknown (${reason})` : name}>
      <Group gap={6} wrap="nowrap">
        {children}
        <Text size="sm" component="span">
          <span className={value === NOTHING ? "small" : "visually-hidden"}>{name} </span>
          {value}
        </Text>
      </Group>
    </Tooltip>
  );
}

function Occupants({ jobs, now, idle }: { jobs: JobSummary[]; now: number; idle: string }) {
  if (jobs.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {idle}
      </Text>
    );
  }
  return (
    <Stack gap={2}>
      {jobs.map((job) => (
        <div key={job.id} className="occupant numbers">
          <JobBadge state={job.state} size="sm" />
          <div className="clip who">
            <JobLink job={job} />{" "}
            <Text span size="sm" c="dimmed">
              {job.owner}
            </Text>
          </div>
          <Text size="sm" c="dimmed" className="how-far">
            {job.progress ? `${percent(100 * job.progress.fraction)}, ` : ""}
            {duration(secondsBetween(job.started_at, null, now))}
          </Text>
        </div>
      ))}
    </Stack>
  );
}

/** The user's place in the queue of the whole lab. */
function Place({ busy: { waiting, users_waiting, next } }: { busy: LabQueueRead }) {
  const now = useNow(5000);
  return (
    <Text size="sm" c="dimmed" mb="xs" className="numbers">
      {counted(waiting, "run")} of {counted(users_waiting, "user")} in the queue.{" "}
      {next && (
        <>
          Your next run, <JobLink job={{ id: next.job_id, name: next.name, experiment: next.experiment }} />, is at
          place {integer(next.position)}
          {next.estimated_start_at !== null && (
            <>
              {" "}
              and may start <Ago moment={next.estimated_start_at} now={now} />
            </>
          )}
          .
        </>
      )}
    </Text>
  );
}

function Waiting({ jobs, busy }: { jobs: JobSummary[]; busy: LabQueueRead | undefined }) {
  const now = useNow(5000);
  const places = useQueries({
    queries: jobs.slice(0, MAX_EXPLAINED).map((job) => ({ ...queries.queue(job.id), staleTime: 5000 })),
    combine: (results) => new Map(results.map((result, i) => [jobs[i]?.id, result.data])),
  });
  const inOrder = [...jobs].sort((a, b) => (places.get(a.id)?.position ?? 1e9) - (places.get(b.id)?.position ?? 1e9));
  return (
    <Card component="section" aria-labelledby="waiting">
      <Title order={2} size="h4" id="waiting" mb="xs">
        Waiting
      </Title>
      {busy !== undefined && busy.waiting > 0 && <Place busy={busy} />}
      {jobs.length === 0 ? (
        <Empty title={busy?.waiting ? "None of your jobs is waiting" : "The queue is empty"}>
          {busy?.waiting
            ? "The waiting jobs are those of other users. "
            : "A job that you submit now starts immediately. "}
          <AnchorLink to="/jobs" size="sm" underline="always">
            See all jobs
          </AnchorLink>
        </Empty>
      ) : (
        <Table.ScrollContainer minWidth={280}>
          <Table verticalSpacing={6} className="flush">
            <Table.Thead>
              <Table.Tr>
                <Table.Th w={72}>Position</Table.Th>
                <Table.Th miw="8rem">Job</Table.Th>
                <Table.Th visibleFrom="sm">Owner</Table.Th>
                <Table.Th visibleFrom="sm">Reason</Table.Th>
                <Table.Th visibleFrom="sm">Submitted</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {inOrder.map((job) => {
                const place = places.get(job.id);
                const why = place?.explanation ?? job.message ?? "waiting for the scheduler";
                return (
                  <Table.Tr key={job.id}>
                    <Table.Td className="numbers">{place?.position ?? "–"}</Table.Td>
                    <Table.Td>
                      <JobLink job={job} />
                      <Text size="xs" c="dimmed" hiddenFrom="sm">
                        {why}
                      </Text>
                    </Table.Td>
                    <Table.Td visibleFrom="sm">{job.owner}</Table.Td>
                    <Table.Td visibleFrom="sm">{why}</Table.Td>
                    <Table.Td className="numbers" visibleFrom="sm" style={{ whiteSpace: "nowrap" }}>
                      <Ago moment={job.submitted_at} now={now} />
                    </Table.Td>
                  </Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Card>
  );
}
