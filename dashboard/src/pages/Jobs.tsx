/** All runs that the user can see, as a table: chosen columns, sorted, narrowed and grouped by the lab; compared here. */

import "./jobs.css";

import { Button, Card, Checkbox, Group, Stack, Text, Title, UnstyledButton } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ArrowDown, ArrowUp, ChevronsUpDown, GitCompareArrows } from "lucide-react";
import { useMemo, useState } from "react";

import * as queries from "../api/queries";
import type { JobTableRead } from "../api/schema";
import { Answer, Empty } from "../components/Feedback";
import { AnchorLink, ButtonLink } from "../components/Links";
import { counted, integer } from "../format";
import { isCurve, nextOrder, ORDER, title } from "./jobs/columns";
import { Filters } from "./jobs/Filters";
import { Groups } from "./jobs/Groups";
import { Rows } from "./jobs/Rows";
import { DeleteRuns } from "./personal/DeleteRuns";

type Heads = readonly [keyof typeof ORDER, string][];
const HEADS: Heads = [
  ["name", "Name"],
  ["state", "State"],
  ["owner", "Owner"],
];
/** Behind the chosen columns. */
const TIMES: Heads = [
  ["took", "Duration"],
  ["changed", "Updated"],
];

export function Jobs() {
  const table = useSearch({ from: "/inside/jobs" });
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Jobs
      </Title>
      <Filters />
      {table.by === undefined ? <Table table={table} /> : <Groups table={table} />}
    </Stack>
  );
}

function Table({ table }: { table: queries.TableSearch }) {
  const query = useInfiniteQuery(queries.jobTable(table));
  const first = query.data?.pages[0];
  const narrowed = Object.values<unknown>({ ...table, columns: undefined, sort: undefined }).some(
    (entry) => entry !== undefined,
  );
  return (
    <Answer query={query}>
      {({ pages }) =>
        first === undefined || first.items.length === 0 ? (
          <Card>
            {narrowed ? (
              <Empty title="No job matches">
                Search looks at names, experiments and notes.{" "}
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
            pages={pages}
            more={query.hasNextPage ? () => void query.fetchNextPage() : null}
            busy={query.isFetchingNextPage}
          />
        )
      }
    </Answer>
  );
}

function JobTable({ pages, more, busy }: { pages: JobTableRead[]; more: (() => void) | null; busy: boolean }) {
  const { sort = [] } = useSearch({ from: "/inside/jobs" });
  const rows = useMemo(() => pages.flatMap((page) => page.items), [pages]);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const { columns, total, complete, searched } = pages[0]!;
  const chosen = rows.filter((row) => selected.has(row.id));
  function choose(id: string, is: boolean) {
    setSelected((before) => new Set(is ? [...before, id] : [...before].filter((one) => one !== id)));
  }
  const style = columns.length > 0 ? { "--columns": columns.length } : undefined;
  return (
    <Card padding={0} style={{ overflow: "visible" }}>
      <Group justify="space-between" p="xs" pl="md" gap="xs" className="above">
        <Text size="sm" c="dimmed" aria-live="polite">
          {selected.size > 0 ? `${integer(selected.size)} selected of ` : ""}
          {counted(total, "job")}
          {!complete && `, the newest ${integer(searched)}`}
          {sort.length === 0 && selected.size === 0 && rows.length < total && `, newest ${integer(rows.length)} shown`}
        </Text>
        <Group gap="xs">
          {selected.size > 0 && (
            <Button size="xs" variant="subtle" color="gray" onClick={() => setSelected(new Set())}>
              Clear selection
            </Button>
          )}
          {selected.size > 0 && (
            <DeleteRuns
              ids={chosen.map((row) => row.id)}
              size="xs"
              done={(gone) => setSelected((before) => new Set([...before].filter((one) => !gone.includes(one))))}
            />
          )}
          <CompareButton chosen={[...selected]} />
        </Group>
      </Group>
      <div className={columns.length > 0 ? "wide" : undefined}>
        <div
          role="table"
          aria-label="Jobs"
          aria-rowcount={total + 1}
          className="jobs"
          style={style as React.CSSProperties | undefined}
        >
          <div role="rowgroup">
            <div role="row" className="row head" aria-rowindex={1}>
              <div role="columnheader">
                <Checkbox
                  size="sm"
                  aria-label="Select all shown jobs"
                  checked={chosen.length === rows.length}
                  indeterminate={chosen.length > 0 && chosen.length < rows.length}
                  onChange={(event) =>
                    setSelected(event.currentTarget.checked ? new Set(rows.map((row) => row.id)) : new Set())
                  }
                />
              </div>
              {HEADS.map(([id, label]) => (
                <Head key={id} className={id} column={ORDER[id]} label={label} order={sort[0]} />
              ))}
              {columns.map((name, i) =>
                isCurve(name) ? (
                  <div role="columnheader" key={i} title={name} className="clip">
                    {title(name)}
                  </div>
                ) : (
                  <Head key={i} className="clip" column={name} label={title(name)} order={sort[0]} />
                ),
              )}
              {TIMES.map(([id, label]) => (
                <Head key={id} className={id} column={ORDER[id]} label={label} order={sort[0]} />
              ))}
            </div>
          </div>
          <Rows rows={rows} columns={columns} selected={selected} choose={choose} />
        </div>
      </div>
      {more && (
        <Group justify="center" p="sm">
          <Button variant="default" size="sm" onClick={more} loading={busy}>
            {sort.length === 0 ? "Show older jobs" : "Show more jobs"}
          </Button>
        </Group>
      )}
    </Card>
  );
}

interface HeadProps {
  className: string;
  column: string;
  label: string;
  order: string | undefined;
}

function Head({ className, column, label, order }: HeadProps) {
  const navigate = useNavigate({ from: "/jobs" });
  const rising = order === column;
  const falling = order === `-${column}`;
  const Arrow = rising ? ArrowUp : falling ? ArrowDown : ChevronsUpDown;
  function press() {
    const next = nextOrder(column, order);
    void navigate({
      search: (before) => ({ ...before, sort: next === undefined ? undefined : [next] }),
      replace: true,
    });
  }
  return (
    <div
      role="columnheader"
      className={className}
      title={column}
      aria-sort={rising ? "ascending" : falling ? "descending" : "none"}
    >
      <UnstyledButton onClick={press} className="sort">
        {label}
        <Arrow size={14} aria-hidden opacity={rising || falling ? 1 : 0.45} style={{ flexShrink: 0 }} />
      </UnstyledButton>
    </div>
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
