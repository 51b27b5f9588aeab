/** Assignments, with the status of each student: who is done, who is stuck and on what. */

import { Card, Center, Chip, Group, Select, Stack, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { infiniteQueryOptions, keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import type { operations, OverviewRead, StandingRead } from "../../api/schema";
import { CAUSE_WORDS } from "../../api/states";
import { Answer, Empty } from "../../components/Feedback";
import { AnchorLink, ButtonLink } from "../../components/Links";
import { PagedTable, type Column } from "../../components/PagedTable";
import { State, STUDENT, STUDENT_STATES } from "../../components/State";
import { Ago, useNow } from "../../components/Time";
import { byName, counted, fullTime } from "../../format";
import { oneOf } from "../../search";
import { EditAssignment, NewAssignment } from "./AssignmentForm";
import { Extensions } from "./Extensions";

type Among = Pick<
  NonNullable<operations["get_assignment_overview"]["parameters"]["query"]>,
  "state" | "section" | "team" | "text"
>;

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
                <ButtonLink size="sm" variant="default" to="/jobs" search={{ assignment: assignment.id }}>
                  Leaderboard
                </ButtonLink>
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
  const [among, setAmong] = useState<Among>({});
  const [settled] = useDebouncedValue(among, 250);
  const query = useInfiniteQuery(overview(id, settled));
  const pages = query.data?.pages ?? [];
  // A student whose status changed between two pages may be on both.
  const students = new Map(pages.flatMap((page) => page.students).map((student) => [student.user_id, student]));
  return (
    <Stack gap="sm">
      {pages[0] && <Summary overview={pages[0]} />}
      {pages[0] && <Filters states={pages[0].states} among={among} setAmong={setAmong} />}
      <PagedTable
        query={query}
        rows={[...students.values()]}
        keyOf={(student) => student.user_id}
        columns={COLUMNS}
        minWidth={300}
        empty={
          isFiltered(settled) ? (
            <Empty title="No student matches" />
          ) : (
            <Empty title="No students yet">Add users or import a class on the tab Users.</Empty>
          )
        }
      />
    </Stack>
  );
}

function isFiltered(among: Among): boolean {
  return Object.values(among).some((value) => value != null);
}

interface FilterProps {
  states: OverviewRead["states"];
  among: Among;
  setAmong: (among: Among) => void;
}

/** The counts are filters; section, team and a name narrow down whom they count. */
function Filters({ states, among, setAmong }: FilterProps) {
  const { data: people } = useQuery(queries.roster);
  const sections = [...new Set(people?.groups.flatMap(({ section }) => section ?? []))];
  const teams = [...new Set(people?.groups.flatMap(({ team }) => team ?? []))].sort(byName);
  return (
    <>
      <Chip.Group
        value={among.state ?? ""}
        onChange={(state) => setAmong({ ...among, state: oneOf(state, STUDENT_STATES) })}
      >
        <Group gap="xs">
          <Chip value="" size="sm">
            All {Object.values(states).reduce((sum, count) => sum + count, 0)}
          </Chip>
          {STUDENT_STATES.map((state) => (
            <Chip key={state} value={state} size="sm">
              {STUDENT[state].word} {states[state] ?? 0}
            </Chip>
          ))}
        </Group>
      </Chip.Group>
      <Group gap="xs" align="flex-end">
        <TextInput
          label="Search"
          placeholder="Name or email"
          value={among.text ?? ""}
          onChange={(event) => setAmong({ ...among, text: event.currentTarget.value || undefined })}
        />
        <Choice
          label="Section"
          options={sections}
          value={among.section}
          set={(section) => setAmong({ ...among, section })}
        />
        <Choice label="Team" options={teams} value={among.team} set={(team) => setAmong({ ...among, team })} />
      </Group>
    </>
  );
}

interface ChoiceProps {
  label: string;
  options: string[];
  value: string | null | undefined;
  set: (value: string | undefined) => void;
}

function Choice({ label, options, value, set }: ChoiceProps) {
  if (options.length === 0) return null;
  return (
    <Select
      label={label}
      placeholder="All"
      data={options}
      value={value ?? null}
      onChange={(chosen) => set(chosen ?? undefined)}
      clearable
      searchable
      w="10rem"
    />
  );
}

function Summary({ overview: { assignment, submitted, states } }: { overview: OverviewRead }) {
  const students = Object.values(states).reduce((sum, count) => sum + count, 0);
  return (
    <>
      <Text size="sm" c="dimmed">
        Due {fullTime(assignment.deadline)}
        {assignment.deadline_text && ` (lab time: ${assignment.deadline_text})`}. Counts:{" "}
        {[...assignment.templates, ...assignment.experiments].join(", ")}. {submitted} of {counted(students, "student")}{" "}
        handed in.
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
    cell: (student) => (
      <>
        {student.runs === 0 ? "none" : `${student.succeeded} of ${student.runs} succeeded`}
        {student.earlier_runs > 0 && (
          <Text size="xs" c="dimmed">
            {student.earlier_runs} before the assignment
          </Text>
        )}
      </>
    ),
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
