/** The user's work on one assignment: the description, the starter, what counts, what is missing, and handing in. */

import { Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Circle, CircleCheck, Hourglass } from "lucide-react";
import type { ReactNode } from "react";

import * as queries from "../../api/queries";
import type { AssignmentRead, PartRead } from "../../api/schema";
import { Answer } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { State, type Look } from "../../components/State";
import { counted } from "../../format";
import { OwnGrade } from "../grades/OwnGrade";
import { Choose } from "./Choose";
import { Starter } from "./Starter";

const DONE: Look = { color: "teal", icon: CircleCheck, word: "Succeeded" };
const BEGUN: Look = { color: "orange", icon: Hourglass, word: "None succeeded" };
const MISSING: Look = { color: "gray", icon: Circle, word: "No runs yet" };

export function Work({ assignment, now }: { assignment: AssignmentRead; now: number }) {
  const query = useQuery(queries.work(assignment.id));
  return (
    <Stack gap="md">
      {assignment.description !== null && (
        <Text size="sm" className="break" style={{ whiteSpace: "pre-wrap" }} maw="46rem">
          {assignment.description}
        </Text>
      )}
      {assignment.starter && (
        <Part title="Start from this program">
          <Starter assignment={assignment} starter={assignment.starter} />
        </Part>
      )}
      <Answer query={query}>
        {({ parts, runs }) => (
          <>
            <Part title="What counts">
              <Parts parts={parts} />
            </Part>
            {assignment.your_grade && (
              <Part title="Your grade">
                <OwnGrade grade={assignment.your_grade} />
              </Part>
            )}
            <Part title="Your submission">
              <Choose assignment={assignment} runs={runs} now={now} />
            </Part>
          </>
        )}
      </Answer>
    </Stack>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div>
      <Title order={3} size="h5" mb={4}>
        {title}
      </Title>
      {children}
    </div>
  );
}

function Parts({ parts }: { parts: PartRead[] }) {
  return (
    <Table verticalSpacing={6} className="flush">
      <Table.Tbody>
        {parts.map((part) => (
          <Table.Tr key={`${part.kind} ${part.name}`}>
            <Table.Td>
              <StartLink part={part} />
              <Text size="xs" c="dimmed">
                {part.kind === "question" ? "Runs of this question count" : "All runs of this experiment count"}
              </Text>
            </Table.Td>
            <Table.Td ta="right">
              <State look={part.succeeded > 0 ? DONE : part.runs > 0 ? BEGUN : MISSING} size="sm" />
              {part.runs > 0 && (
                <Text size="xs" c="dimmed" className="numbers">
                  {part.succeeded} of {counted(part.runs, "run")}
                </Text>
              )}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

/** Where a run of this part is started. */
function StartLink({ part: { kind, name, title } }: { part: PartRead }) {
  if (kind === "question") {
    return (
      <AnchorLink to="/studies/new" search={{ template: name }} size="sm" fw={550}>
        {title}
      </AnchorLink>
    );
  }
  if (name === "script" || name === "notebook") {
    return (
      <AnchorLink to="/programs" size="sm" fw={550}>
        {title}
      </AnchorLink>
    );
  }
  return (
    <AnchorLink to="/submit" search={{ experiment: name }} size="sm" fw={550}>
      {title}
    </AnchorLink>
  );
}
