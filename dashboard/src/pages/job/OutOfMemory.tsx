/** Where the memory of a run went, and which changes would make it fit. */

import { Card, Stack, Table, Text, Title } from "@mantine/core";

import type { JobRead, OutOfMemoryRead } from "../../api/schema";
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
        <Advice job={job} />
        {failure !== null && <Where failure={failure} />}
      </Stack>
    </Card>
  );
}

function Advice({ job }: { job: JobRead }) {
  const edits = job.failure?.edits ?? [];
  const reason = job.failure?.reasons["edits"];
  const apply = (change: Change, label: string) => (
    <ButtonLink size="compact-sm" variant="light" to="/submit" search={{ from: job.id, change }}>
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
  const facts = (
    [
      ["Phase", failure.phase],
      ["Layer", failure.module],
      ["Requested", failure.requested_bytes],
      ["Held by tensors", failure.allocated_bytes],
      ["Held by the allocator", failure.reserved_bytes],
      ["Fragmented", failure.fragmentation_bytes],
      ["Held by the run (NVML)", failure.process_used_bytes ?? null],
      ["Used on the device", failure.device_used_bytes],
      [failure.ended_by === "watchdog" ? "Reserved for the run" : "Limit", failure.limit_bytes],
      ["Predicted peak", failure.predicted_peak_bytes],
    ] as [string, string | number | null][]
  )
    .filter(([, fact]) => fact !== null)
    .map(([name, fact]): [string, string] => [name, typeof fact === "number" ? bytes(fact) : String(fact)]);
  return (
    <>
      {facts.length > 0 && (
        <div>
          <Title order={3} size="h5" mb="xs">
            Where the memory went
          </Title>
          <Facts facts={facts} columns={{ base: 2, sm: 3, lg: 5 }} />
        </div>
      )}
      {failure.ended_by === "watchdog" && (
        <Text size="sm">
          The run used more GPU memory than it had reserved. The lab stopped it to protect its neighbours.
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
        <Table.Caption>Largest live tensors</Table.Caption>
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
