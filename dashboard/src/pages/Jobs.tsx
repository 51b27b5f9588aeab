/** All runs that the user can see: filter, search, sort, and select runs to compare. */

import "./jobs.css";

import {
  Button,
  Card,
  Checkbox,
  Group,
  MultiSelect,
  Select,
  Stack,
  Text,
  TextInput,
  Title,
  UnstyledButton,
} from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import {
  createColumnHelper,
  flexRender,
  getCoreRowModel,
  getSortedRowModel,
  useReactTable,
  type RowSelectionState,
  type SortingState,
} from "@tanstack/react-table";
import { ArrowDown, ArrowUp, ChevronsUpDown, GitCompareArrows, Search } from "lucide-react";
import { useMemo, useState } from "react";

import * as queries from "../api/queries";
import type { JobState, JobSummary } from "../api/schema";
import { Answer, Empty } from "../components/Feedback";
import { AnchorLink, ButtonLink } from "../components/Links";
import { STATE_WORDS } from "../api/states";
import { counted } from "../format";
import { durationOf, Rows } from "./jobs/Rows";

const column = createColumnHelper<JobSummary>();
const SORTS = { changed: "Updated", name: "Name", state: "State", owner: "Owner", took: "Duration" } as const;

export function Jobs() {
  const filters = useSearch({ from: "/inside/jobs" });
  const query = useInfiniteQuery({ ...queries.jobs(filters), refetchInterval: 10_000 });
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const filtered = Object.values<unknown>(filters).some((entry) => entry !== undefined);
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Jobs
      </Title>
      <Filters />
      <Answer query={query}>
        {() =>
          rows.length === 0 ? (
            <Card>
              {query.hasNextPage ? (
                <Empty title="No job matches so far">
                  <Button
                    variant="default"
                    size="sm"
                    onClick={() => void query.fetchNextPage()}
                    loading={query.isFetchingNextPage}
                  >
                    Search older jobs
                  </Button>
                </Empty>
              ) : filtered ? (
                <Empty title="No job matches">
                  Search looks at names and experiments.{" "}
                  <AnchorLink to="/jobs" search={{}} size="sm" underline="always">
                    Show all jobs
                  </AnchorLink>
                </Empty>
              ) : (
                <Empty title="You have no jobs yet">
                  <AnchorLink to="/submit" size="sm" underline="always">
                    Submit one
                  </AnchorLink>
                  , or in the terminal: <code>gpulab submit dropout-linear -p dropout=0.5</code>
                </Empty>
              )}
            </Card>
          ) : (
            <JobTable
              rows={rows}
              more={query.hasNextPage ? () => void query.fetchNextPage() : null}
              busy={query.isFetchingNextPage}
            />
          )
        }
      </Answer>
    </Stack>
  );
}

function Filters() {
  const filters = useSearch({ from: "/inside/jobs" });
  const navigate = useNavigate({ from: "/jobs" });
  const { data: catalogue } = useQuery(queries.experiments);
  const [words, setWords] = useState(filters.text ?? "");
  const set = (change: Partial<typeof filters>) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const search = useDebouncedCallback((text: string) => set({ text: text.trim() || undefined }), 250);
  return (
    <Group gap="xs" align="flex-end" role="search" aria-label="Filter jobs">
      <TextInput
        label="Search"
        placeholder="Name or experiment"
        leftSection={<Search size={16} aria-hidden />}
        value={words}
        onChange={(event) => {
          setWords(event.currentTarget.value);
          search(event.currentTarget.value);
        }}
        className="filter"
      />
      <MultiSelect
        label="State"
        placeholder={filters.state ? "" : "Any"}
        data={Object.entries(STATE_WORDS).map(([value, label]) => ({ value, label }))}
        value={filters.state ?? []}
        onChange={(state) => set({ state: state.length > 0 ? (state as JobState[]) : undefined })}
        clearable
        className="filter"
      />
      <Select
        label="Experiment"
        placeholder="Any"
        data={(catalogue?.items ?? []).map((entry) => ({ value: entry.slug, label: entry.title }))}
        value={filters.experiment ?? null}
        onChange={(experiment) => set({ experiment: experiment ?? undefined })}
        clearable
        searchable
        className="filter"
      />
      <TextInput
        label="Tag"
        placeholder="Any"
        defaultValue={filters.tag ?? ""}
        onBlur={(event) => set({ tag: event.currentTarget.value.trim() || undefined })}
        onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
        className="filter short"
      />
    </Group>
  );
}

function JobTable({ rows, more, busy }: { rows: JobSummary[]; more: (() => void) | null; busy: boolean }) {
  const [sorting, setSorting] = useState<SortingState>([]);
  const [selected, setSelected] = useState<RowSelectionState>({});
  const columns = useMemo(
    () => [
      column.accessor((job) => job.name ?? job.experiment, { id: "name", header: SORTS.name, sortingFn: "text" }),
      column.accessor("state", { id: "state", header: SORTS.state }),
      column.accessor("owner", { id: "owner", header: SORTS.owner, sortingFn: "text" }),
      column.accessor((job) => durationOf(job, Date.now()) ?? undefined, {
        id: "took",
        header: SORTS.took,
        sortUndefined: "last",
      }),
      column.accessor((job) => Date.parse(job.changed_at), { id: "changed", header: SORTS.changed }),
    ],
    [],
  );
  const table = useReactTable({
    data: rows,
    columns,
    state: { sorting, rowSelection: selected },
    onSortingChange: setSorting,
    onRowSelectionChange: setSelected,
    getRowId: (job) => job.id,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
  });
  const chosen = Object.keys(selected).filter((id) => selected[id]);
  const sorted = table.getRowModel().rows;
  return (
    <Card padding={0} style={{ overflow: "visible" }}>
      <Group justify="space-between" p="xs" pl="md" gap="xs" className="above">
        <Text size="sm" c="dimmed" aria-live="polite">
          {chosen.length > 0
            ? `${chosen.length} selected`
            : more
              ? `Newest ${counted(rows.length, "job")}`
              : counted(rows.length, "job")}
        </Text>
        <Group gap="xs">
          {chosen.length > 0 && (
            <Button size="xs" variant="subtle" color="gray" onClick={() => setSelected({})}>
              Clear selection
            </Button>
          )}
          <CompareButton chosen={chosen} />
        </Group>
      </Group>
      <div role="table" aria-label="Jobs" aria-rowcount={more ? -1 : rows.length + 1} className="jobs">
        <div role="rowgroup">
          <div role="row" className="row head" aria-rowindex={1}>
            <div role="columnheader">
              <Checkbox
                size="sm"
                aria-label="Select all shown jobs"
                checked={table.getIsAllRowsSelected()}
                indeterminate={table.getIsSomeRowsSelected()}
                onChange={table.getToggleAllRowsSelectedHandler()}
              />
            </div>
            {table.getFlatHeaders().map((header) => {
              const order = header.column.getIsSorted();
              const Arrow = order === "asc" ? ArrowUp : order === "desc" ? ArrowDown : ChevronsUpDown;
              return (
                <div
                  role="columnheader"
                  key={header.id}
                  className={header.id}
                  aria-sort={order === "asc" ? "ascending" : order === "desc" ? "descending" : "none"}
                >
                  <UnstyledButton onClick={header.column.getToggleSortingHandler()} className="sort">
                    {flexRender(header.column.columnDef.header, header.getContext())}
                    <Arrow size={14} aria-hidden opacity={order ? 1 : 0.45} />
                  </UnstyledButton>
                </div>
              );
            })}
          </div>
        </div>
        <Rows rows={sorted} selected={selected} />
      </div>
      {more && (
        <Group justify="center" p="sm">
          <Button variant="default" size="sm" onClick={more} loading={busy}>
            Show older jobs
          </Button>
        </Group>
      )}
    </Card>
  );
}

function CompareButton({ chosen }: { chosen: string[] }) {
  const ready = chosen.length >= 2;
  const label = ready ? `Compare ${chosen.length}` : "Compare";
  const icon = <GitCompareArrows size={16} aria-hidden />;
  return ready ? (
    <ButtonLink size="xs" leftSection={icon} to="/compare" search={{ jobs: chosen }}>
      {label}
    </ButtonLink>
  ) : (
    <Button size="xs" variant="default" leftSection={icon} disabled title="Select at least two jobs">
      {label}
    </Button>
  );
}
