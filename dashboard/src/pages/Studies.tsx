/** Studies: many runs that answer one question, and how far they are. */

import { Badge, Button, Card, Group, Progress, Stack, Table, Text, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { CircleCheck, CirclePlay, CircleX, Ban, Plus, type LucideIcon } from "lucide-react";

import * as queries from "../api/queries";
import type { StudySummary } from "../api/schema";
import { Answer, Empty } from "../components/Feedback";
import { AnchorLink, ButtonLink } from "../components/Links";
import { Ago, useNow } from "../components/Time";
import { counted, percent } from "../format";

export function Studies() {
  const query = useInfiniteQuery({ ...queries.studies, refetchInterval: 10_000 });
  const now = useNow(5000);
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Title order={1} size="h2">
          Studies
        </Title>
        <ButtonLink size="sm" leftSection={<Plus size={16} aria-hidden />} to="/studies/new">
          New study
        </ButtonLink>
      </Group>
      <Answer query={query}>
        {() =>
          items.length === 0 ? (
            <Card>
              <Empty title="No study yet">
                A study asks one question with many runs: a question of the homework, or{" "}
                <AnchorLink to="/studies/new" search={{ kind: "grid" }} size="sm" underline="always">
                  a grid of your own
                </AnchorLink>
                . In the terminal: <code>gpulab study submit course/1b --scale smoke</code>
              </Empty>
            </Card>
          ) : (
            <Card padding={0}>
              <Table.ScrollContainer minWidth={340}>
                <Table verticalSpacing="xs" horizontalSpacing="md">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>Study</Table.Th>
                      <Table.Th>State</Table.Th>
                      <Table.Th visibleFrom="sm">Progress</Table.Th>
                      <Table.Th visibleFrom="md">Whose</Table.Th>
                      <Table.Th visibleFrom="sm">Begun</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {items.map((study) => (
                      <Table.Tr key={study.id}>
                        <Table.Td>
                          <AnchorLink to="/studies/$id" params={{ id: study.id }} size="sm" fw={550}>
                            {study.name ?? study.title}
                          </AnchorLink>
                          <Text size="xs" c="dimmed">
                            {study.template ?? "grid"}
                            {study.scale !== null && `, ${study.scale}`}, {counted(study.runs, "run")}
                          </Text>
                        </Table.Td>
                        <Table.Td>
                          <StudyState study={study} />
                        </Table.Td>
                        <Table.Td visibleFrom="sm" w={180}>
                          <Progress
                            value={100 * study.progress}
                            aria-label={`Progress: ${percent(100 * study.progress)}`}
                          />
                        </Table.Td>
                        <Table.Td visibleFrom="md">{study.owner}</Table.Td>
                        <Table.Td visibleFrom="sm" className="numbers">
                          <Ago moment={study.created_at} now={now} />
                        </Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
              {query.hasNextPage && (
                <Group justify="center" p="sm">
                  <Button
                    variant="default"
                    onClick={() => void query.fetchNextPage()}
                    loading={query.isFetchingNextPage}
                  >
                    Show older studies
                  </Button>
                </Group>
              )}
            </Card>
          )
        }
      </Answer>
    </Stack>
  );
}

const LOOKS: Record<StudySummary["state"], { color: string; icon: LucideIcon; word: string }> = {
  running: { color: "blue", icon: CirclePlay, word: "Running" },
  succeeded: { color: "teal", icon: CircleCheck, word: "Succeeded" },
  failed: { color: "red", icon: CircleX, word: "Some failed" },
  cancelled: { color: "orange", icon: Ban, word: "Cancelled" },
};

export function StudyState({ study, size = "sm" }: { study: StudySummary; size?: string }) {
  const look = LOOKS[study.state];
  return (
    <Badge
      color={look.color}
      variant="light"
      tt="none"
      size={size}
      className={`state state-${look.color}`}
      leftSection={<look.icon size={13} aria-hidden />}
    >
      {look.word}
    </Badge>
  );
}
