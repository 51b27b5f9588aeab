/** The grades of an assignment: who has how many points and why, re-runs, tables for other platforms, release. */

import { Button, Card, Group, Menu, Select, Stack, Switch, Text } from "@mantine/core";
import { infiniteQueryOptions, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useState } from "react";

import { api, data, file } from "../../api/client";
import { address } from "../../api/base";
import * as queries from "../../api/queries";
import type { AssignmentRead, GradeRead, GradeSourceRead } from "../../api/schema";
import { saveAs } from "../../charts/series";
import { Answer, Empty } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { PagedTable, rowsOf, type Column } from "../../components/PagedTable";
import { useAction } from "../../components/useAction";
import { counted, fullTime, NOTHING, number } from "../../format";
import { EditGrade } from "./EditGrade";
import { ImportGrades } from "./ImportGrades";
import { LateCost } from "./OwnGrade";
import { Reruns } from "./Reruns";

const gradesOf = (id: string) =>
  infiniteQueryOptions({
    queryKey: ["assignments", id, "grades"],
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/v1/assignments/{assignment_id}/grades", {
          params: { path: { assignment_id: id }, query: { limit: 100, cursor: pageParam } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: 10_000,
  });

const TABLES = [
  ["lab", "Spreadsheet"],
  ["canvas", "Canvas"],
  ["moodle", "Moodle"],
  ["gradescope", "Gradescope"],
] as const;

export function Grades() {
  const query = useQuery(queries.assignments);
  const [chosen, choose] = useState<string | null>(null);
  return (
    <Answer query={query}>
      {({ items }) => {
        const assignment = items.find((item) => item.id === chosen) ?? items[0];
        return assignment === undefined ? (
          <Card>
            <Empty title="No assignments yet">Create one on the tab Assignments. Its grades appear here.</Empty>
          </Card>
        ) : (
          <Stack>
            <Group justify="space-between" align="flex-end" gap="xs">
              <Select
                label="Assignment"
                data={items.map((item) => ({ value: item.id, label: item.name }))}
                value={assignment.id}
                onChange={choose}
                allowDeselect={false}
                w="24rem"
                maw="100%"
              />
              <Group gap="xs">
                <ImportGrades key={assignment.id} assignment={assignment} />
                <Export assignment={assignment} />
              </Group>
            </Group>
            <Release assignment={assignment} />
            <Reruns key={assignment.id} assignment={assignment} />
            <Class assignment={assignment} />
          </Stack>
        );
      }}
    </Answer>
  );
}

function Class({ assignment }: { assignment: AssignmentRead }) {
  const query = useInfiniteQuery(gradesOf(assignment.id));
  const [edited, edit] = useState<GradeRead | null>(null);
  return (
    <>
      <PagedTable
        query={query}
        rows={rowsOf(query)}
        keyOf={(grade) => grade.user_id}
        columns={columnsOf(assignment, edit)}
        minWidth={320}
        empty={<Empty title="No students yet">Add users or import a class on the tab Users.</Empty>}
      />
      <EditGrade assignment={assignment} grade={edited} close={() => edit(null)} />
    </>
  );
}

const SOURCES = { hand: "By hand", check: "Check", rerun: "Re-run" } as const;

function columnsOf(assignment: AssignmentRead, edit: (grade: GradeRead) => void): Column<GradeRead>[] {
  const most = assignment.max_points ?? null;
  return [
    {
      title: "Student",
      cell: (grade) => (
        <>
          <Text size="sm" fw={550} className="break">
            {grade.user}
          </Text>
          <Text size="xs" c="dimmed">
            {[grade.section, grade.team].filter(Boolean).join(", ")}
          </Text>
        </>
      ),
    },
    { title: "Handed in", from: "sm", cell: (grade) => <HandedIn grade={grade} /> },
    {
      title: most === null ? "Points" : `Points of ${number(most)}`,
      className: "numbers",
      cell: (grade) => (
        <>
          {grade.final_points === null ? NOTHING : number(grade.final_points)}
          <LateCost grade={grade} />
        </>
      ),
    },
    {
      title: "From",
      from: "sm",
      cell: (grade) => <Sources grade={grade} />,
    },
    {
      title: "Comment",
      from: "md",
      className: "break",
      cell: (grade) => (
        <Text size="sm" lineClamp={2}>
          {grade.comment}
        </Text>
      ),
    },
    {
      title: <span className="visually-hidden">Actions</span>,
      align: "right",
      cell: (grade) => (
        <Button size="compact-sm" variant="default" aria-label={`Grade ${grade.user}`} onClick={() => edit(grade)}>
          Grade
        </Button>
      ),
    },
  ];
}

function HandedIn({ grade }: { grade: GradeRead }) {
  if (grade.job_id === null || grade.pinned_at === null) return "nothing";
  return (
    <AnchorLink to="/jobs/$id" params={{ id: grade.job_id }} size="sm">
      {fullTime(grade.pinned_at)}
      {grade.days_late > 0 && `, ${counted(grade.days_late, "day")} late`}
    </AnchorLink>
  );
}

/** Whose points count comes first; the others say what they said. */
function Sources({ grade }: { grade: GradeRead }) {
  return (
    <>
      {grade.sources?.map((one) => (
        <Text key={one.source} size="xs" c={one.source === grade.source ? undefined : "dimmed"} className="break">
          {SOURCES[one.source]}: {said(one)}
        </Text>
      ))}
      {grade.of_earlier_run && (
        <Text size="xs" c="dimmed">
          manual grade of an earlier run
        </Text>
      )}
    </>
  );
}

const OUTCOMES = { waiting: "waits", done: "no points", failed: "failed", same: "the same", different: "different" };

function said({ state, points, by }: GradeSourceRead): string {
  const outcome = points === null || state === "same" || state === "different" ? OUTCOMES[state] : null;
  const what = [outcome, points === null ? null : number(points)].filter((part) => part !== null).join(", ");
  return by === null ? what : `${what} (${by})`;
}

function Release({ assignment }: { assignment: AssignmentRead }) {
  const since = assignment.points_released_at ?? null;
  const send = useAction(
    (released: boolean) =>
      data(
        api.PATCH("/v1/assignments/{assignment_id}", {
          params: { path: { assignment_id: assignment.id } },
          body: { points_released: released },
        }),
      ),
    (after) => (after.points_released_at ? "Students see their grades now." : "Grades are hidden again."),
  );
  return (
    <Switch
      label="Released to students"
      description={since === null ? "Each student sees only their own grade" : `Since ${fullTime(since)}`}
      checked={since !== null}
      disabled={send.isPending}
      onChange={(event) => send.mutate(event.currentTarget.checked)}
    />
  );
}

function Export({ assignment }: { assignment: AssignmentRead }) {
  const fetchTable = useAction(
    async (columns: string) => {
      const answer = await file(address(`/v1/assignments/${assignment.id}/grades.csv?columns=${columns}`));
      saveAs(`${assignment.name}-${columns}.csv`, await answer.blob());
    },
    () => null,
  );
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button
          size="sm"
          variant="default"
          leftSection={<Download size={16} aria-hidden />}
          loading={fetchTable.isPending}
        >
          Export
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>In the columns of</Menu.Label>
        {TABLES.map(([columns, label]) => (
          <Menu.Item key={columns} onClick={() => fetchTable.mutate(columns)}>
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
