/** Assignments, with the status of each student: who is done, who is stuck and on what. */

import { Card, Center, Group, Select, Stack, Text } from "@mantine/core";
import { infiniteQueryOptions, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import type { OverviewRead, StandingRead } from "../../api/schema";
import { CAUSE_WORDS } from "../../api/states";
import { Answer, Empty } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { PagedTable, type Column } from "../../components/PagedTable";
import { State, STUDENT } from "../../components/State";
import { Ago, useNow } from "../../components/Time";
import { counted, fullTime } from "../../format";
import { EditAssignment, NewAssignment } from "./AssignmentForm";
import { Extensions } from "./Extensions";

const overview = (id: string) =>
  infiniteQueryOptions({
    queryKey: ["assignments", id, "overview"],
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/v1/assignments/{assignment_id}/overview", {
          params: { path: { assignment_id: id }, query: { limit: 100, cursor: pageParam } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: 10_000,
  });

export function Assignments() {
  const query = useQuery(queries.assignments);
  const [chosen, choose] = useState<string | null>(null);
  return (
    <Answer query={query}>
      {({ items }) => {
        const assignment = items.find((item) => item.id === chosen) ?? items[0];
        return assignment === undefined ? (
          <Card>
            <Empty title="No assignments yet">
              An assignment has a deadline and the questions or experiments that count. This page then shows who is done
              and who is stuck.
              <Center mt="sm">
                <NewAssignment made={choose} />
              </Center>
            </Empty>
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
                <Extensions key={`extensions ${assignment.id}`} assignment={assignment} />
                <EditAssignment key={assignment.id} assignment={assignment} />
                <NewAssignment made={choose} />
              </Group>
            </Group>
            <Overview id={assignment.id} />
          </Stack>
        );
      }}
    </Answer>
  );
}

function Overview({ id }: { id: string }) {
  const query = useInfiniteQuery(overview(id));
  const pages = query.data?.pages ?? [];
  // A student whose status changed between two pages may be on both.
  const students = new Map(pages.flatMap((page) => page.students).map((student) => [student.user_id, student]));
  return (
    <Stack gap="sm">
      {pages[0] && <Summary overview={pages[0]} />}
      <PagedTable
        query={query}
        rows={[...students.values()]}
        keyOf={(student) => student.user_id}
        columns={COLUMNS}
        minWidth={300}
        empty={<Empty title="No students yet">Add users or import a class on the tab Users.</Empty>}
      />
    </Stack>
  );
}

function Summary({ overview: { assignment, submitted, states } }: { overview: OverviewRead }) {
  const students = Object.values(states).reduce((sum, count) => sum + count, 0);
  const stuck = states["stuck"] ?? 0;
  return (
    <>
      <Text size="sm" c="dimmed">
        Due {fullTime(assignment.deadline)}
        {assignment.deadline_text && ` (lab time: ${assignment.deadline_text})`}. Counts:{" "}
        {[...assignment.templates, ...assignment.experiments].join(", ")}. {submitted} of {counted(students, "student")}{" "}
        handed in{stuck > 0 && `, ${stuck} stuck`}.
      </Text>
      {assignment.description !== null && <Text size="sm">{assignment.description}</Text>}
    </>
  );
}

/** The lab sends students who are stuck first. */
const COLUMNS: Column<StandingRead>[] = [
  {
    title: "Student",
    cell: (student) => (
      <>
        <AnchorLink to="/jobs" search={{ owner: student.user_id }} size="sm" fw={550}>
          {student.name}
        </AnchorLink>
        <Text size="xs" c="dimmed">
          {[student.section, student.team].filter(Boolean).join(", ")}
        </Text>
      </>
    ),
  },
  { title: "Status", cell: (student) => <State look={STUDENT[student.state]} size="sm" /> },
  {
    title: "Runs",
    from: "sm",
    className: "numbers",
    cell: (student) => (student.runs === 0 ? "none" : `${student.succeeded} of ${student.runs} succeeded`),
  },
  { title: "Last failure", from: "sm", cell: (student) => <LastFailure student={student} /> },
  { title: "Handed in", cell: (student) => <HandedIn student={student} /> },
];

function LastFailure({ student: { last_failure: failure } }: { student: StandingRead }) {
  if (!failure) return null;
  return (
    <Group gap={6}>
      <AnchorLink to="/jobs/$id" params={{ id: failure.job_id }} size="sm">
        {CAUSE_WORDS[failure.cause]}
      </AnchorLink>
      <Text size="xs" c="dimmed">
        {failure.message}
      </Text>
    </Group>
  );
}

function HandedIn({ student: { submission } }: { student: StandingRead }) {
  const now = useNow(10_000);
  if (!submission) return "not yet";
  return (
    <AnchorLink to="/jobs/$id" params={{ id: submission.job_id }} size="sm">
      <Ago moment={submission.pinned_at} now={now} />
      {submission.late && ", late"}
    </AnchorLink>
  );
}
