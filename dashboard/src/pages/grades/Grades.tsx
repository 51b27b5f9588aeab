/** The grades of an assignment: who has how many points and why, re-runs, tables for other platforms, release. */

import { Button, Menu, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { infiniteQueryOptions, keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { useMemo, useState } from "react";

import { api, data, file } from "../../api/client";
import { address } from "../../api/base";
import type { AssignmentRead, GradeRead, GradeSourceRead } from "../../api/schema";
import { saveAs } from "../../charts/series";
import { Empty } from "../../components/Feedback";
import { PagedTable, rowsOf, type Column } from "../../components/PagedTable";
import { RowLink } from "../../components/tables/RowLink";
import { useAction } from "../../components/useAction";
import { counted, fullTime, NOTHING, number } from "../../format";
import { OfAssignment } from "../class/OfAssignment";
import { EditGrade } from "./EditGrade";
import { ImportGrades } from "./ImportGrades";
import { LateCost } from "./OwnGrade";
import { Release } from "./Release";
import { Reruns } from "./Reruns";

const gradesOf = (id: string, text: string) =>
  infiniteQueryOptions({
    queryKey: ["assignments", id, "grades", text],
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/v1/assignments/{assignment_id}/grades", {
          params: { path: { assignment_id: id }, query: { text: text || undefined, limit: 100, cursor: pageParam } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });

const TABLES = [
  ["lab", "Spreadsheet"],
  ["canvas", "Canvas"],
  ["moodle", "Moodle"],
  ["gradescope", "Gradescope"],
] as const;

export function Grades() {
  return (
    <OfAssignment
      empty={<Empty title="No assignments yet">Create one on the tab Assignments. Its grades appear here.</Empty>}
      actions={(assignment) => (
        <>
          <ImportGrades key={assignment.id} assignment={assignment} />
          <Export assignment={assignment} />
        </>
      )}
    >
      {(assignment) => (
        <>
          <Release assignment={assignment} />
          <Reruns key={assignment.id} assignment={assignment} />
          <Class key={assignment.id} assignment={assignment} />
        </>
      )}
    </OfAssignment>
  );
}

function Class({ assignment }: { assignment: AssignmentRead }) {
  const [typed, setTyped] = useState("");
  const [text] = useDebouncedValue(typed.trim(), 250);
  const query = useInfiniteQuery(gradesOf(assignment.id, text));
  const [edited, edit] = useState<GradeRead | null>(null);
  const most = assignment.max_points ?? null;
  const columns = useMemo(() => columnsOf(most, edit), [most]);
  return (
    <>
      <TextInput
        label="Search"
        placeholder="Name or email"
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        w={{ base: "100%", xs: "16rem" }}
      />
      <PagedTable
        query={query}
        rows={rowsOf(query)}
        keyOf={(grade) => grade.user_id}
        columns={columns}
        minWidth={320}
        empty={
          text === "" ? (
            <Empty title="No students yet">Add users or import a class on the tab Users.</Empty>
          ) : (
            <Empty title="No student matches" />
          )
        }
      />
      <EditGrade assignment={assignment} grade={edited} close={() => edit(null)} />
    </>
  );
}

const SOURCES = { hand: "By hand", check: "Check", rerun: "Re-run" } as const;

function columnsOf(most: number | null, edit: (grade: GradeRead) => void): Column<GradeRead>[] {
  return [
    {
      title: "Student",
      cell: (grade) => (
        <>
          <div className="strong break">{grade.user}</div>
          <div className="small">{[grade.section, grade.team].filter(Boolean).join(", ")}</div>
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
        <Button size="xs" variant="default" aria-label={`Grade ${grade.user}`} onClick={() => edit(grade)}>
          Grade
        </Button>
      ),
    },
  ];
}

function HandedIn({ grade }: { grade: GradeRead }) {
  if (grade.job_id === null || grade.pinned_at === null) return "nothing";
  return (
    <RowLink to="/jobs/$id" params={{ id: grade.job_id }}>
      {fullTime(grade.pinned_at)}
      {grade.days_late > 0 && `, ${counted(grade.days_late, "day")} late`}
    </RowLink>
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
