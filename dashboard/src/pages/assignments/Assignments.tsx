/** What is due: every assignment with the user's work on it. The next deadline comes first. */

import { Accordion, Card, Group, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import * as queries from "../../api/queries";
import type { AssignmentRead } from "../../api/schema";
import { Answer, Empty } from "../../components/Feedback";
import { State } from "../../components/State";
import { useNow } from "../../components/Time";
import { counted, whenDue, setTime } from "../../format";
import { useNameOf } from "../course/courses";
import { dueOf, isOver, statusOf } from "./status";
import { Work } from "./Work";

const MINUTE_MILLISECONDS = 60_000;

export function Assignments() {
  const query = useQuery(queries.assignments);
  const now = useNow(MINUTE_MILLISECONDS);
  return (
    <Stack gap="lg">
      <Title order={1} size="h2">
        Assignments
      </Title>
      <Answer query={query}>
        {({ items }) => {
          const inOrder = [...items].sort((a, b) => Date.parse(dueOf(a)) - Date.parse(dueOf(b)));
          const open = inOrder.filter((assignment) => !isOver(assignment, now));
          const past = inOrder.filter((assignment) => isOver(assignment, now)).reverse();
          return (
            <>
              {open.length === 0 && (
                <Card>
                  <Empty title="Nothing is due">
                    {past.length === 0
                      ? "Your instructor creates assignments. They appear here with their deadlines."
                      : "Every deadline has passed."}
                  </Empty>
                </Card>
              )}
              {open.map((assignment) => (
                <Card key={assignment.id} component="section" aria-label={assignment.name}>
                  <Heading assignment={assignment} now={now} />
                  <Work assignment={assignment} now={now} />
                </Card>
              ))}
              {past.length > 0 && <Past assignments={past} now={now} />}
            </>
          );
        }}
      </Answer>
    </Stack>
  );
}

function Heading({ assignment, now }: { assignment: AssignmentRead; now: number }) {
  return (
    <Group justify="space-between" align="flex-start" gap="xs" mb="sm">
      <div style={{ minWidth: 0 }}>
        <Title order={2} size="h3" className="break">
          {assignment.name}
        </Title>
        <Due assignment={assignment} now={now} />
      </div>
      <State look={statusOf(assignment, now)} />
    </Group>
  );
}

function Due({ assignment, now }: { assignment: AssignmentRead; now: number }) {
  const due = dueOf(assignment);
  const moved = assignment.deadline_changes?.at(-1);
  const course = useNameOf(assignment.course_id);
  return (
    <Text size="sm" c="dimmed" className="numbers">
      {course !== undefined && `${course}: `}
      <Text span inherit fw={600}>
        {whenDue(due, now)}
      </Text>
      , <time dateTime={due}>{setTime(due)}</time>
      {due !== assignment.deadline && ` (extended for you; the class: ${setTime(assignment.deadline)})`}
      {moved && due === assignment.deadline && ` (moved from ${setTime(moved.before)})`}
    </Text>
  );
}

function Past({ assignments, now }: { assignments: AssignmentRead[]; now: number }) {
  return (
    <section aria-labelledby="past">
      <Title order={2} size="h4" mb="xs" id="past">
        {counted(assignments.length, "past assignment")}
      </Title>
      <Accordion variant="separated" order={3}>
        {assignments.map((assignment) => (
          <Accordion.Item key={assignment.id} value={assignment.id}>
            <Accordion.Control>
              <Group justify="space-between" gap="xs" pr="xs">
                <div>
                  <Text fw={600} size="sm" className="break">
                    {assignment.name}
                  </Text>
                  <Due assignment={assignment} now={now} />
                </div>
                <State look={statusOf(assignment, now)} size="sm" />
              </Group>
            </Accordion.Control>
            <Accordion.Panel>
              <Work assignment={assignment} now={now} />
            </Accordion.Panel>
          </Accordion.Item>
        ))}
      </Accordion>
    </section>
  );
}
