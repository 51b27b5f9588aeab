/** The audit log, newest first. */

import { Stack, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { infiniteQueryOptions, useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { AuditEventRead } from "../../api/schema";
import { Empty } from "../../components/Feedback";
import { PagedTable, rowsOf, type Column } from "../../components/PagedTable";
import { fullTime, NOTHING } from "../../format";

const eventsOf = (actor: string) =>
  infiniteQueryOptions({
    queryKey: ["audit", actor],
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/v1/audit", {
          params: { query: { actor: actor || undefined, limit: 50, cursor: pageParam } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

const COLUMNS: Column<AuditEventRead>[] = [
  {
    title: "Time",
    className: "numbers",
    oneLine: true,
    cell: (entry) => <time dateTime={entry.at}>{fullTime(entry.at)}</time>,
  },
  {
    title: "Actor",
    className: "break",
    cell: (entry) => (
      <>
        {entry.actor}
        <Text size="xs" c="dimmed" hiddenFrom="xs" style={{ whiteSpace: "nowrap" }}>
          {entry.action}
        </Text>
      </>
    ),
  },
  { title: "Action", from: "xs", cell: (entry) => entry.action },
  { title: "Target", from: "sm", className: "mono break", cell: (entry) => entry.target ?? NOTHING },
  { title: "Address", from: "md", className: "mono", cell: (entry) => entry.address ?? NOTHING },
];

export function Audit() {
  const [typed, setTyped] = useState("");
  const [actor] = useDebouncedValue(typed.trim(), 250);
  const query = useInfiniteQuery(eventsOf(actor));
  return (
    <Stack gap="sm">
      <TextInput
        label="Actor"
        placeholder="user:sam"
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        w={{ base: "100%", xs: "20rem" }}
      />
      <PagedTable
        query={query}
        rows={rowsOf(query)}
        keyOf={(entry) => entry.id}
        columns={COLUMNS}
        more="Show older events"
        empty={<Empty title="No audit events" />}
      />
    </Stack>
  );
}
