/** Where the disk goes, for admins: the lab's own places, and users by kind and age. */

import { Card, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import * as queries from "../../api/queries";
import type { DiskRead, DiskUseRead } from "../../api/schema";
import { Answer, Empty } from "../../components/Feedback";
import { Ago, useNow } from "../../components/Time";
import { bytes, NOTHING } from "../../format";

const PLACES: Record<DiskRead["places"][number]["place"], string> = {
  database: "Database",
  write_ahead_log: "Write-ahead log of the database",
  process_logs: "Logs of the lab's processes",
  backups: "Backups",
  runs: "Folder of runs",
  cache: "Cache",
};
const KINDS = ["artifacts", "checkpoints", "output", "programs", "series"] as const;

export default function Disk() {
  const query = useQuery({ ...queries.disk, refetchInterval: 60_000 });
  const now = useNow(10_000);
  return (
    <Answer query={query}>
      {(found) => (
        <Stack gap="md">
          <Text size="sm" c="dimmed">
            Measured <Ago moment={found.measured_at} now={now} />. The lab measures at most every five minutes.
          </Text>
          <Places found={found} />
          <Users uses={found.uses} />
        </Stack>
      )}
    </Answer>
  );
}

function Places({ found }: { found: DiskRead }) {
  return (
    <Card component="section" aria-labelledby="places" padding={0}>
      <Title order={2} size="h4" id="places" p="md" pb="xs">
        Places
      </Title>
      <Table.ScrollContainer minWidth={320}>
        <Table verticalSpacing={6} horizontalSpacing="md">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Place</Table.Th>
              <Table.Th>Size</Table.Th>
              <Table.Th>Free</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {found.places.map(({ place, node, size_bytes, free_bytes }) => (
              <Table.Tr key={`${place} ${node ?? ""}`}>
                <Table.Td>{node === null ? PLACES[place] : `${PLACES[place]} of ${node}`}</Table.Td>
                <Table.Td className="numbers">{bytes(size_bytes)}</Table.Td>
                <Table.Td className="numbers">{bytes(free_bytes)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}

interface Row {
  user: string;
  total: number;
  older: number;
  kinds: Partial<Record<DiskUseRead["kind"], number>>;
}

function Users({ uses }: { uses: DiskUseRead[] }) {
  const rows = useMemo(() => byUser(uses), [uses]);
  if (rows.length === 0)
    return (
      <Card>
        <Empty title="No user has stored anything yet" />
      </Card>
    );
  return (
    <Card component="section" aria-labelledby="users" padding={0}>
      <Title order={2} size="h4" id="users" p="md" pb="xs">
        Users
      </Title>
      <Table.ScrollContainer minWidth={320}>
        <Table verticalSpacing={6} horizontalSpacing="md">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>User</Table.Th>
              <Table.Th>Total</Table.Th>
              {KINDS.map((kind) => (
                <Table.Th key={kind} visibleFrom="md" tt="capitalize">
                  {kind}
                </Table.Th>
              ))}
              <Table.Th>Older than 90 days</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={row.user}>
                <Table.Td className="break">{row.user}</Table.Td>
                <Table.Td className="numbers">{bytes(row.total)}</Table.Td>
                {KINDS.map((kind) => (
                  <Table.Td key={kind} className="numbers" visibleFrom="md">
                    {row.kinds[kind] === undefined ? NOTHING : bytes(row.kinds[kind])}
                  </Table.Td>
                ))}
                <Table.Td className="numbers">{bytes(row.older)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}

function byUser(uses: DiskUseRead[]): Row[] {
  const found = new Map<string, Row>();
  for (const { user_id, user, kind, size_bytes, by_age } of uses) {
    const row = found.get(user_id) ?? { user, total: 0, older: 0, kinds: {} };
    row.total += size_bytes;
    row.older += by_age["older"] ?? 0;
    row.kinds[kind] = size_bytes;
    found.set(user_id, row);
  }
  return [...found.values()].sort((a, b) => b.total - a.total);
}
