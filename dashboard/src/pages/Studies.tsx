/** Studies: many runs that answer one question, and how far they are. */

import { Badge, Button, Card, Group, Modal, Progress, Select, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CircleCheck, CirclePlay, CircleX, Ban, Plus, type LucideIcon } from "lucide-react";
import { useState, type FormEvent } from "react";

import { api, data } from "../api/client";
import * as queries from "../api/queries";
import type { StudyCreate, StudySummary } from "../api/schema";
import { Answer, Empty, Failure } from "../components/Feedback";
import { AnchorLink } from "../components/Links";
import { Ago, useNow } from "../components/Time";
import { percent } from "../format";

export function Studies() {
  const query = useInfiniteQuery({ ...queries.studies, refetchInterval: 10_000 });
  const now = useNow(5000);
  const [opened, { open, close }] = useDisclosure();
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Title order={1} size="h2">
          Studies
        </Title>
        <Button size="sm" leftSection={<Plus size={16} aria-hidden />} onClick={open}>
          New study
        </Button>
      </Group>
      <NewStudy opened={opened} close={close} />
      <Answer query={query}>
        {() =>
          items.length === 0 ? (
            <Card>
              <Empty title="No study yet">
                A study asks one question with many runs: a question of the homework, or a grid of your own. In the terminal:{" "}
                <code>gpulab study run course/1b --scale smoke</code>
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
                            {study.scale !== null && `, ${study.scale}`}, {study.runs} runs
                          </Text>
                        </Table.Td>
                        <Table.Td>
                          <StudyState study={study} />
                        </Table.Td>
                        <Table.Td visibleFrom="sm" w={180}>
                          <Progress value={100 * study.progress} aria-label={`Progress: ${percent(100 * study.progress)}`} />
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
                  <Button variant="default" onClick={() => void query.fetchNextPage()} loading={query.isFetchingNextPage}>
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
    <Badge color={look.color} variant="light" tt="none" size={size} className={`state state-${look.color}`} leftSection={<look.icon size={13} aria-hidden />}>
      {look.word}
    </Badge>
  );
}

const SCALES = [
  { value: "smoke", label: "Smoke: seconds, shows that it works" },
  { value: "cpu", label: "CPU: minutes, enough for the findings" },
  { value: "full", label: "Full: the homework's own sizes, hours" },
];

function NewStudy({ opened, close }: { opened: boolean; close: () => void }) {
  const navigate = useNavigate();
  const { data: catalogue } = useQuery(queries.experiments);
  const [template, setTemplate] = useState<string | null>(null);
  const [scale, setScale] = useState<string | null>("smoke");
  const [name, setName] = useState("");
  const send = useMutation({
    mutationFn: () => {
      const order = { template, scale, name: name.trim() || null };
      return data(api.POST("/v1/studies", { body: order as StudyCreate }));
    },
    onSuccess: (study) => navigate({ to: "/studies/$id", params: { id: study.id } }),
  });
  const questions = [...new Set(catalogue?.items.flatMap((entry) => entry.questions) ?? [])].sort();
  const parts = [...new Set(questions.map((question) => question.charAt(0)))];
  return (
    <Modal opened={opened} onClose={close} title="New study" closeButtonProps={{ "aria-label": "Close" }}>
      <form
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          send.mutate();
        }}
      >
        <Stack>
          <Select
            label="Question"
            placeholder="Choose one"
            data={[
              { group: "Everything", items: [{ value: "course/all", label: "The whole homework" }] },
              { group: "Parts", items: parts.map((part) => ({ value: `course/${part}`, label: `Part ${part}` })) },
              { group: "Questions", items: questions.map((question) => ({ value: `course/${question}`, label: `Question ${question}` })) },
            ]}
            value={template}
            onChange={setTemplate}
            searchable
            required
            data-autofocus
          />
          <Select label="Scale" data={SCALES} value={scale} onChange={setScale} allowDeselect={false} />
          <TextInput label="Name" description="For people; may stay empty" value={name} onChange={(event) => setName(event.currentTarget.value)} />
          <Text size="xs" c="dimmed">
            Runs of yours that are done already are taken over. A grid of your own is made in the terminal: <code>gpulab study --help</code>
          </Text>
          {send.error !== null && <Failure error={send.error} />}
          <Button type="submit" loading={send.isPending} disabled={template === null}>
            Start
          </Button>
        </Stack>
      </form>
    </Modal>
  );
}
