/** The students of an assignment as a table: runs, the last failure, and what was handed in. */

import { infiniteQueryOptions, keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useMemo, type ReactNode } from "react";

import { api, data } from "../../../api/client";
import type { Among } from "../../../api/queries";
import type { AssignmentRead, StandingRead } from "../../../api/schema";
import { CAUSE_WORDS } from "../../../api/states";
import { PagedTable, type Column, type Selection } from "../../../components/PagedTable";
import { RowLink } from "../../../components/tables/RowLink";
import { State, STUDENT } from "../../../components/State";
import { useNow } from "../../../components/Time";
import { ago, fullTime } from "../../../format";

const overview = (id: string, among: Among) =>
  infiniteQueryOptions({
    queryKey: ["assignments", id, "overview", among],
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/v1/assignments/{assignment_id}/overview", {
          params: { path: { assignment_id: id }, query: { ...among, limit: 100, cursor: pageParam } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });

interface StudentTableProps {
  assignment: AssignmentRead;
  among: Among;
  chosen: ReadonlySet<string>;
  choose: (id: string, is: boolean) => void;
  empty: ReactNode;
}

export function StudentTable({ assignment, among, chosen, choose, empty }: StudentTableProps) {
  const query = useInfiniteQuery(overview(assignment.id, among));
  // A student whose status changed between two pages may be on both.
  const students = useMemo(
    () => new Map(query.data?.pages.flatMap((page) => page.students).map((student) => [student.user_id, student])),
    [query.data],
  );
  const columns = useMemo(() => columnsOf(assignment.id), [assignment.id]);
  const selection: Selection<StandingRead> = {
    chosen,
    choose: (student, is) => choose(student.user_id, is),
    label: (student) => student.name,
  };
  return (
    <PagedTable
      query={query}
      rows={[...students.values()]}
      keyOf={(student) => student.user_id}
      columns={columns}
      minWidth={300}
      empty={empty}
      selection={selection}
    />
  );
}

/** The lab sends students who are stuck first. */
function columnsOf(assignmentId: string): Column<StandingRead>[] {
  return [
    {
      title: "Student",
      cell: (student) => (
        <>
          <span className="strong">
            <RowLink to="/jobs" search={{ owner: student.user_id, work_on: assignmentId }}>
              {student.name}
            </RowLink>
          </span>
          <div className="small">{[student.section, student.team].filter(Boolean).join(", ")}</div>
        </>
      ),
    },
    { title: "Status", cell: (student) => <State look={STUDENT[student.state]} size="sm" /> },
    {
      title: "Runs",
      from: "sm",
      className: "numbers",
      cell: (student) => (
        <>
          {student.runs === 0 ? "none" : `${student.succeeded} of ${student.runs} succeeded`}
          {student.earlier_runs > 0 && (
            <div className="small">
              <RowLink to="/jobs" search={{ owner: student.user_id, work_on: assignmentId, earlier: true }}>
                {student.earlier_runs} before the assignment
              </RowLink>
            </div>
          )}
        </>
      ),
    },
    { title: "Last failure", from: "sm", cell: (student) => <LastFailure student={student} /> },
    { title: "Handed in", cell: (student) => <HandedIn student={student} /> },
  ];
}

function LastFailure({ student: { last_failure: failure } }: { student: StandingRead }) {
  if (!failure) return null;
  return (
    <>
      <RowLink to="/jobs/$id" params={{ id: failure.job_id }}>
        {CAUSE_WORDS[failure.cause]}
      </RowLink>
      <div className="small break">{failure.message}</div>
    </>
  );
}

function HandedIn({ student: { submission } }: { student: StandingRead }) {
  const now = useNow(10_000);
  if (!submission) return "not yet";
  return (
    <RowLink to="/jobs/$id" params={{ id: submission.job_id }}>
      <time dateTime={submission.pinned_at} title={fullTime(submission.pinned_at)}>
        {ago(submission.pinned_at, now)}
      </time>
      {submission.late && ", late"}
    </RowLink>
  );
}
