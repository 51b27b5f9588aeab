/** The audit log, newest first: changes, or sign-ins. */

import { Autocomplete, Group, SegmentedControl, Select, Stack, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { infiniteQueryOptions, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { AuditEventRead } from "../../api/schema";
import { Empty } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { PagedTable, rowsOf, type Column } from "../../components/PagedTable";
import { DAY_FIELD } from "../../entered-time";
import { fullTime, NOTHING } from "../../format";
import { ACTIONS, actionWords, actorOf, dayAfter, personOf, startOfDay } from "./auditing";

interface Filters {
  signIns: boolean;
  actor: string | undefined;
  action: string | undefined;
  since: string | undefined;
  until: string | undefined;
}

const eventsOf = ({ signIns, ...filters }: Filters) =>
  infiniteQueryOptions({
    queryKey: ["audit", signIns, filters],
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/v1/audit", {
          params: { query: { ...filters, sign_ins: signIns, limit: 50, cursor: pageParam } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

const usersLike = (text: string) => ({
  queryKey: ["users-like", text],
  queryFn: ({ signal }: { signal: AbortSignal }) =>
    data(api.GET("/v1/users", { params: { query: { text: text || undefined, limit: 20 } }, signal })),
});

const COLUMNS: Column<AuditEventRead>[] = [
  {
    title: "Time",
    className: "numbers",
    oneLine: true,
    cell: (entry) => <time dateTime={entry.at}>{fullTime(entry.at)}</time>,
  },
  {
    title: "Who",
    className: "break",
    cell: (entry) => (
      <>
        {personOf(entry.actor)}
        <Text size="xs" c="dimmed" hiddenFrom="sm" className="break">
          {actionWords(entry.action)} <Target entry={entry} />
        </Text>
      </>
    ),
  },
  { title: "What", from: "sm", cell: (entry) => actionWords(entry.action) },
  { title: "Target", from: "sm", className: "break", cell: (entry) => <Target entry={entry} /> },
  { title: "Address", from: "md", className: "mono", cell: (entry) => entry.address ?? NOTHING },
];

export function Audit() {
  const [kind, setKind] = useState<"changes" | "sign-ins">("changes");
  const [typed, setTyped] = useState("");
  const [person] = useDebouncedValue(typed.trim(), 250);
  const [action, setAction] = useState<string | null>(null);
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const users = useQuery(usersLike(person));
  const query = useInfiniteQuery(
    eventsOf({
      signIns: kind === "sign-ins",
      actor: person === "" ? undefined : actorOf(person),
      action: action ?? undefined,
      since: startOfDay(from),
      until: dayAfter(to),
    }),
  );
  const filtered = person !== "" || action !== null || from !== "" || to !== "";
  return (
    <Stack gap="sm">
      <Group align="flex-end" gap="sm">
        <SegmentedControl
          aria-label="Events"
          data={[
            { value: "changes", label: "Changes" },
            { value: "sign-ins", label: "Sign-ins" },
          ]}
          value={kind}
          onChange={(value) => {
            setKind(value);
            setAction(null);
          }}
        />
        <Autocomplete
          label="Who"
          placeholder="Name"
          data={[...new Set(users.data?.items.map(({ name }) => name) ?? [])]}
          filter={({ options }) => options}
          value={typed}
          onChange={setTyped}
          w={{ base: "100%", xs: "13rem" }}
        />
        <Select
          label="What"
          placeholder="Everything"
          clearable
          searchable
          clearButtonProps={{ "aria-label": "Clear what" }}
          data={ACTIONS[kind].map((value) => ({ value, label: actionWords(value) }))}
          value={action}
          onChange={setAction}
          w={{ base: "100%", xs: "13rem" }}
        />
        <TextInput {...DAY_FIELD} label="From" value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
        <TextInput {...DAY_FIELD} label="To" value={to} onChange={(event) => setTo(event.currentTarget.value)} />
      </Group>
      <PagedTable
        query={query}
        rows={rowsOf(query)}
        keyOf={(entry) => entry.id}
        columns={COLUMNS}
        more="Show older events"
        empty={
          <Empty title={filtered ? "No matching events" : "No events"}>
            {filtered && "Names must be whole. Clear a filter to see more."}
          </Empty>
        }
      />
    </Stack>
  );
}

function Target({ entry: { target, target_name: name } }: { entry: AuditEventRead }) {
  if (target === null) return NOTHING;
  const [kind, key] = [target.slice(0, target.indexOf(":")), target.slice(target.indexOf(":") + 1)];
  if (kind === "job" && name !== null)
    return (
      <AnchorLink to="/jobs/$id" params={{ id: key }} size="sm" title={target}>
        {name}
      </AnchorLink>
    );
  return (
    <span title={target}>
      {kind.replaceAll("_", " ")} {name ?? <span className="mono">{key.slice(0, 8)}</span>}
    </span>
  );
}
