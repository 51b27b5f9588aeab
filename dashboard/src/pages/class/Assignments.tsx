/** How the class stands with what it has to hand in: who is done, who is stuck and on what. */

import { Badge, Button, Card, Center, Group, Select, Stack, Table, Text } from "@mantine/core";
import { infiniteQueryOptions, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Circle, CircleCheck, CircleX, Hourglass, type LucideIcon } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import type { StandingRead } from "../../api/schema";
import { Answer, Empty } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { CAUSE_WORDS } from "../../components/StateBadge";
import { Ago, useNow } from "../../components/Time";
import { fullTime } from "../../format";
import { EditAssignment, NewAssignment } from "./AssignmentForm";

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

const LOOKS: Record<StandingRead["state"], { color: string; icon: LucideIcon; word: string }> = {
  stuck: { color: "red", icon: CircleX, word: "Stuck" },
  working: { color: "blue", icon: Hourglass, word: "Working" },
  none: { color: "gray", icon: Circle, word: "Not begun" },
  succeeded: { color: "teal", icon: CircleCheck, word: "Succeeded" },
};

export function Assignments() {
  const query = useQuery(queries.assignments);
  const [chosen, choose] = useState<string | null>(null);
  return (
    <Answer query={query}>
      {({ items }) => {
        const assignment = items.find((item) => item.id === chosen) ?? items[0];
        return assignment === undefined ? (
          <Card>
            <Empty title="No assignment yet">
              One says what the class is to hand in and until when; then this page shows who is done and who is stuck.
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
  return (
    <Answer query={query}>
      {({ pages }) => {
        const [first] = pages;
        if (first === undefined) return null;
        const { assignment, submitted, states } = first;
        // Somebody whose state changed between two pages may be on both.
        const students = new Map(pages.flatMap((page) => page.students).map((student) => [student.user_id, student]));
        const everybody = Object.values(states).reduce((sum, count) => sum + count, 0);
        return (
          <Stack gap="sm">
            <Text size="sm" c="dimmed">
              Until {fullTime(assignment.deadline)}
              {assignment.deadline_text && ` (in the lab: ${assignment.deadline_text})`}, on{" "}
              {[...assignment.templates, ...assignment.experiments].join(", ")}. {submitted} of {everybody} handed in
              {states["stuck"] ? `, ${states["stuck"]} stuck` : ""}.
            </Text>
            {assignment.description !== null && <Text size="sm">{assignment.description}</Text>}
            {everybody === 0 ? (
              <Card>
                <Empty title="The class has no students yet" />
              </Card>
            ) : (
              <Standings students={[...students.values()]} />
            )}
            {query.hasNextPage && (
              <Group justify="center">
                <Button
                  variant="default"
                  size="sm"
                  onClick={() => void query.fetchNextPage()}
                  loading={query.isFetchingNextPage}
                >
                  Show more
                </Button>
              </Group>
            )}
          </Stack>
        );
      }}
    </Answer>
  );
}

/** Those who are stuck come first, as the lab sends them. */
function Standings({ students }: { students: StandingRead[] }) {
  const now = useNow(10_000);
  return (
    <Card padding={0}>
      <Table.ScrollContainer minWidth={300}>
        <Table verticalSpacing={6} horizontalSpacing="md">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Student</Table.Th>
              <Table.Th>Stands</Table.Th>
              <Table.Th visibleFrom="sm">Runs</Table.Th>
              <Table.Th visibleFrom="sm">Failed last on</Table.Th>
              <Table.Th>Handed in</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {students.map((student) => {
              const look = LOOKS[student.state];
              return (
                <Table.Tr key={student.user_id}>
                  <Table.Td>
                    <AnchorLink to="/jobs" search={{ owner: student.user_id }} size="sm" fw={550}>
                      {student.name}
                    </AnchorLink>
                    <Text size="xs" c="dimmed">
                      {[student.section, student.team].filter(Boolean).join(", ")}
                    </Text>
                  </Table.Td>
                  <Table.Td>
                    <Badge
                      color={look.color}
                      variant="light"
                      tt="none"
                      size="sm"
                      className={`state state-${look.color}`}
                      leftSection={<look.icon size={13} aria-hidden />}
                    >
                      {look.word}
                    </Badge>
                  </Table.Td>
                  <Table.Td className="numbers" visibleFrom="sm">
                    {student.runs === 0 ? "none" : `${student.succeeded} of ${student.runs} good`}
                  </Table.Td>
                  <Table.Td visibleFrom="sm">
                    {student.last_failure && (
                      <Group gap={6}>
                        <AnchorLink to="/jobs/$id" params={{ id: student.last_failure.job_id }} size="sm">
                          {CAUSE_WORDS[student.last_failure.cause]}
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
