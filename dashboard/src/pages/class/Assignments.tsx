/** How the class stands with what it has to hand in: who is done, who is stuck and on what. */

import { Badge, Card, Group, Select, Stack, Table, Text } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { Circle, CircleCheck, CircleX, Hourglass, type LucideIcon } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { StandingRead } from "../../api/schema";
import { Answer, Empty } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { causeName } from "../../components/StateBadge";
import { Ago, useNow } from "../../components/Time";
import { fullTime } from "../../format";

const assignments = queryOptions({
  queryKey: ["assignments"],
  queryFn: ({ signal }) => data(api.GET("/v1/assignments", { params: { query: { limit: 50 } }, signal })),
});

const overview = (id: string) =>
  queryOptions({
    queryKey: ["assignments", id, "overview"],
    queryFn: ({ signal }) =>
      data(api.GET("/v1/assignments/{assignment_id}/overview", { params: { path: { assignment_id: id } }, signal })),
    refetchInterval: 10_000,
  });

const LOOKS: Record<StandingRead["state"], { color: string; icon: LucideIcon; word: string }> = {
  stuck: { color: "red", icon: CircleX, word: "Stuck" },
  working: { color: "blue", icon: Hourglass, word: "Working" },
  none: { color: "gray", icon: Circle, word: "Not begun" },
  succeeded: { color: "teal", icon: CircleCheck, word: "Succeeded" },
};
const ORDER = Object.keys(LOOKS);

export function Assignments() {
  const query = useQuery(assignments);
  const [chosen, choose] = useState<string | null>(null);
  return (
    <Answer query={query}>
      {({ items }) => {
        const id = chosen ?? items[0]?.id;
        return id === undefined ? (
          <Card>
            <Empty title="No assignment yet">
              One is made over HTTP, with a name, a deadline and the questions that belong to it: <code>POST /v1/assignments</code>
            </Empty>
          </Card>
        ) : (
          <Stack>
            <Select label="Assignment" data={items.map((item) => ({ value: item.id, label: item.name }))} value={id} onChange={choose} allowDeselect={false} maw="24rem" />
            <Overview id={id} />
          </Stack>
        );
      }}
    </Answer>
  );
}

function Overview({ id }: { id: string }) {
  const query = useQuery(overview(id));
  return (
    <Answer query={query}>
      {({ assignment, students, submitted, states }) => (
        <Stack gap="sm">
          <Text size="sm" c="dimmed">
            Until {fullTime(assignment.deadline)}. {submitted} of {students.length} have handed in
            {states["stuck"] ? `, ${states["stuck"]} are stuck` : ""}.
          </Text>
          {students.length === 0 ? (
            <Card>
              <Empty title="The class has no students yet" />
            </Card>
          ) : (
            <Standings students={students} />
          )}
        </Stack>
      )}
    </Answer>
  );
}

function Standings({ students }: { students: StandingRead[] }) {
  const now = useNow(10_000);
  const sorted = [...students].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.name.localeCompare(b.name));
  return (
    <Card padding={0}>
      <Table.ScrollContainer minWidth={560}>
        <Table verticalSpacing={6} horizontalSpacing="md">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Student</Table.Th>
              <Table.Th>Stands</Table.Th>
              <Table.Th>Runs</Table.Th>
              <Table.Th>Failed last on</Table.Th>
              <Table.Th>Handed in</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {sorted.map((student) => {
              const look = LOOKS[student.state];
              return (
                <Table.Tr key={student.user_id}>
                  <Table.Td>
                    <AnchorLink to="/jobs" search={{ owner: student.name }} size="sm" fw={550}>
                      {student.name}
                    </AnchorLink>
                    <Text size="xs" c="dimmed">
                      {[student.section, student.team].filter(Boolean).join(", ")}
                    </Text>
                  </Table.Td>
                  <Table.Td>
                    <Badge color={look.color} variant="light" tt="none" size="sm" className={`state state-${look.color}`} leftSection={<look.icon size={13} aria-hidden />}>
                      {look.word}
                    </Badge>
                  </Table.Td>
                  <Table.Td className="numbers">
                    {student.succeeded} of {student.runs} good
                  </Table.Td>
                  <Table.Td>
                    {student.last_failure && (
                      <Group gap={6}>
                        <AnchorLink to="/jobs/$id" params={{ id: student.last_failure.job_id }} size="sm">
                          {causeName(student.last_failure.cause)}
                        </AnchorLink>
                        <Text size="xs" c="dimmed">
                          {student.last_failure.message}
                        </Text>
                      </Group>
                    )}
                  </Table.Td>
                  <Table.Td>
                    {student.submission ? (
                      <AnchorLink to="/jobs/$id" params={{ id: student.submission.job_id }} size="sm">
                        <Ago moment={student.submission.pinned_at} now={now} />
                        {student.submission.late && ", late"}
                      </AnchorLink>
                    ) : (
                      "not yet"
                    )}
                  </Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}
