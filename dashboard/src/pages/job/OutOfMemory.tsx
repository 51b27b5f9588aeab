/** Where the memory of a run went, and which changes would make it fit. */

import { Card, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import * as queries from "../../api/queries";
import type { Edit, EstimateRead, JobRead, OutOfMemoryRead } from "../../api/schema";
import { Edits, changeText, type Change } from "../../components/Edits";
import { Facts } from "../../components/Facts";
import { ButtonLink } from "../../components/Links";
import { bytes, sentence, words } from "../../format";

export function OutOfMemory({ job }: { job: JobRead }) {
  const { failure } = job;
  return (
    <Card component="section" aria-labelledby="out-of-memory">
      <Title order={2} size="h4" id="out-of-memory" mb="sm">
        How to make it fit
      </Title>
      <Stack gap="md">
        {job.failure === null && job.estimate ? (
          <Predicted job={job} id={job.estimate.id} />
        ) : (
          <Advice job={job} edits={job.failure?.edits ?? []} reason={job.failure?.reasons["edits"]} />
        )}
        {failure !== null && <Where failure={failure} />}
      </Stack>
    </Card>
  );
}

/** Of a run that no GPU of the lab could hold: what its estimate says about the largest of them. */
function Predicted({ job, id }: { job: JobRead; id: string }) {
  const { data, error } = useQuery(queries.estimate(id));
  return data === undefined && error === null ? null : <Advice job={job} edits={editsOnLargest(data)} />;
}

function editsOnLargest(estimate?: EstimateRead): readonly Edit[] {
  const [largest] = [...(estimate?.gpus ?? [])].sort((a, b) => b.total_bytes - a.total_bytes);
  return largest?.edits ?? [];
}

interface AdviceProps {
  job: JobRead;
  edits: readonly Edit[];
  /** Why there are none. */
  reason?: string;
}

function Advice({ job, edits, reason }: AdviceProps) {
  const apply = (change: Change, label: string) => (
    <ButtonLink size="xs" variant="light" to="/submit" search={{ from: job.id, change }}>
      {label}
    </ButtonLink>
  );
  if (edits.length > 0) return <Edits edits={edits} button={apply} />;
  const half = halfBatch(job.spec);
  return (
    <div>
      <Text size="sm" mb={6}>
        {reason ? `No change could be predicted: ${sentence(reason)}` : "No change could be predicted."}
        {half === null ? " Change the spec and run it again." : " Half the batch usually needs much less memory."}
      </Text>
      {apply(half ?? {}, half === null ? "Change and run again" : changeText(half))}
    </div>
  );
}

/** What to try if nothing could be predicted. */
function halfBatch(spec: Record<string, unknown>): Change | null {
  const size = spec["batch_size"];
  return typeof size === "number" && size >= 2 ? { batch_size: Math.floor(size / 2) } : null;
}

function Where({ failure }: { failure: OutOfMemoryRead }) {
  const claimed: readonly string[] = failure.claimed_by_program ?? [];
  const facts = (
    [
      ["Phase", "phase"],
      ["Layer", "module"],
      ["Requested", "requested_bytes"],
      ["Held by tensors", "allocated_bytes"],
      ["Held by the allocator", "reserved_bytes"],
      ["Fragmented", "fragmentation_bytes"],
      ["Held by the run (NVML)", "process_used_bytes"],
      ["Used on the device", "device_used_bytes"],
      [failure.ended_by === "watchdog" ? "Reserved for the run" : "Limit", "limit_bytes"],
      ["Predicted peak", "predicted_peak_bytes"],
    ] as const
  )
    .map(([label, name]) => ({ label: claimed.includes(name) ? `${label} *` : label, fact: failure[name] ?? null }))
    .flatMap(({ label, fact }): [string, string][] =>
      fact === null ? [] : [[label, typeof fact === "number" ? bytes(fact) : fact]],
    );
  return (
    <>
      {facts.length > 0 && (
        <div>
          <Title order={3} size="h5" mb="xs">
            Where the memory went
          </Title>
          <Facts facts={facts} columns={{ base: 2, sm: 3, lg: 5 }} />
          {claimed.length > 0 && (
            <Text size="xs" c="dimmed" mt={6}>
              * What the program says of itself. The lab did not measure it.
            </Text>
          )}
        </div>
      )}
      {failure.ended_by === "watchdog" && (
        <Text size="sm">
          The run used more GPU memory than it had reserved. The lab stopped it to protect other jobs.
        </Text>
      )}
      {failure.largest_tensors.length > 0 && <LargestTensors failure={failure} />}
    </>
  );
}

function LargestTensors({ failure }: { failure: OutOfMemoryRead }) {
  return (
    <Table.ScrollContainer minWidth={420}>
      <Table verticalSpacing={4} captionSide="top">
        <Table.Caption>
          Largest live tensors{(failure.claimed_by_program ?? []).includes("largest_tensors") && ", by the program"}
        </Table.Caption>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Tensor</Table.Th>
            <Table.Th>Kind</Table.Th>
            <Table.Th>Shape</Table.Th>
            <Table.Th>Size</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {failure.largest_tensors.map((tensor, i) => (
            <Table.Tr key={i}>
              <Table.Td className="break">{tensor.name}</Table.Td>
              <Table.Td>{words(tensor.kind).toLowerCase()}</Table.Td>
              <Table.Td className="numbers">
                {tensor.shape?.join(" × ") ?? "unknown"} {tensor.dtype}
              </Table.Td>
              <Table.Td className="numbers" style={{ whiteSpace: "nowrap" }}>
                {bytes(tensor.size_bytes)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
