/** Where the memory of a run went that ran out of it, and what would let it through. */

import { Card, Group, Stack, Table, Text, Title } from "@mantine/core";

import type { JobRead, OutOfMemoryRead } from "../../api/schema";
import { Facts } from "../../components/Facts";
import { ButtonLink } from "../../components/Links";
import { bytes, value, words } from "../../format";

export function OutOfMemory({ job, failure }: { job: JobRead; failure: OutOfMemoryRead }) {
  const facts = (
    [
      ["Ran out in", failure.phase],
      ["Layer", failure.module],
      ["Asked for", failure.requested_bytes],
      ["Held by tensors", failure.allocated_bytes],
      ["Held by the allocator", failure.reserved_bytes],
      ["Of that in pieces", failure.fragmentation_bytes],
      ["Held by the run, says the driver", failure.process_used_bytes ?? null],
      ["Used on the device", failure.device_used_bytes],
      [failure.ended_by === "watchdog" ? "It had reserved" : "It had", failure.limit_bytes],
      ["Predicted", failure.predicted_peak_bytes],
    ] as [string, string | number | null][]
  )
    .filter(([, fact]) => fact !== null)
    .map(([name, fact]): [string, string] => [name, typeof fact === "number" ? bytes(fact) : String(fact)]);
  return (
    <Card component="section" aria-labelledby="out-of-memory">
      <Title order={2} size="h4" id="out-of-memory" mb="sm">
        Where the memory went
      </Title>
      <Stack gap="md">
        {facts.length > 0 && <Facts facts={facts} columns={{ base: 2, sm: 3, lg: 5 }} />}
        {failure.ended_by === "watchdog" && (
          <Text size="sm">
            It held more GPU memory than it had reserved, and the lab ended it for the sake of its neighbours.
          </Text>
        )}
        {failure.edits.length === 0 && failure.reasons["edits"] && (
          <Text size="sm" c="dimmed">
            No change is advised: {failure.reasons["edits"]}.
          </Text>
        )}
        {failure.edits.length > 0 && (
          <div>
            <Text size="sm" fw={600} mb={4}>
              What would get it through
            </Text>
            <Stack gap={6}>
              {failure.edits.map((edit, i) => (
                <Group key={i} gap="xs">
                  <ButtonLink
                    size="compact-sm"
                    variant="default"
                    to="/submit"
                    search={{ from: job.id, change: edit.change }}
                  >
                    {Object.entries(edit.change)
                      .map(([name, entry]) => `${words(name).toLowerCase()} ${value(entry)}`)
                      .join(", ")}
                  </ButtonLink>
                  <Text size="sm" c="dimmed" className="numbers">
                    {bytes(edit.peak_device_bytes.likely_bytes)} likely. {edit.reason}
                  </Text>
                </Group>
              ))}
            </Stack>
          </div>
        )}
        {failure.largest_tensors.length > 0 && (
          <Table.ScrollContainer minWidth={420}>
            <Table verticalSpacing={4} captionSide="top">
              <Table.Caption>The largest tensors that were alive</Table.Caption>
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
                      {tensor.shape?.join(" × ") ?? "not known"} {tensor.dtype}
                    </Table.Td>
                    <Table.Td className="numbers" style={{ whiteSpace: "nowrap" }}>
                      {bytes(tensor.size_bytes)}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        )}
      </Stack>
    </Card>
  );
}
