/** Studies: many runs that answer one question, with their progress. */

import { Group, Progress, Stack, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";

import * as queries from "../api/queries";
import type { StudySummary } from "../api/schema";
import { Empty } from "../components/Feedback";
import { AnchorLink, ButtonLink } from "../components/Links";
import { OwnerFilter } from "../components/OwnerFilter";
import { PagedTable, rowsOf, type Column } from "../components/PagedTable";
import { State, STUDY } from "../components/State";
import { Ago, useNow } from "../components/Time";
import { counted, percent } from "../format";
import { CourseFilter } from "./course/CourseFilter";

const COLUMNS: Column<StudySummary>[] = [
  {
    title: "Study",
    cell: (study) => (
      <>
        <AnchorLink to="/studies/$id" params={{ id: study.id }} size="sm" fw={550}>
          {study.name ?? study.title}
        </AnchorLink>
        <Text size="xs" c="dimmed">
          {study.template ?? "grid"}
          {study.scale !== null && `, ${study.scale}`}, {counted(study.runs, "run")}
        </Text>
      </>
    ),
  },
  { title: "State", cell: (study) => <State look={STUDY[study.state]} size="sm" /> },
  {
    title: "Progress",
    from: "sm",
    width: 180,
    cell: (study) => (
      <Progress value={100 * study.progress} aria-label={`Progress: ${percent(100 * study.progress)}`} />
    ),
  },
  { title: "Owner", from: "md", cell: (study) => study.owner },
  { title: "Created", from: "sm", className: "numbers", cell: (study) => <Created study={study} /> },
];

export function Studies() {
  const { owner, text, course } = useSearch({ from: "/inside/studies" });
  const navigate = useNavigate({ from: "/studies" });
  const set = (change: Partial<Record<"owner" | "text" | "course", string | undefined>>) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const [typed, setTyped] = useState(text ?? "");
  const search = useDebouncedCallback((words: string) => set({ text: words.trim() || undefined }), 250);
  const query = useInfiniteQuery({ ...queries.studies({ owner, text, course }), refetchInterval: 10_000 });
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
      <Group gap="xs" align="flex-end" role="search" aria-label="Filter studies">
        <TextInput
          label="Search"
          placeholder="Name or question"
          value={typed}
          onChange={(event) => {
            setTyped(event.currentTarget.value);
            search(event.currentTarget.value);
          }}
          className="filter"
        />
        <CourseFilter course={course} setCourse={(chosen) => set({ course: chosen })} />
        <OwnerFilter owner={owner} setOwner={(chosen) => set({ owner: chosen })} />
      </Group>
      <PagedTable
        query={query}
        rows={rowsOf(query)}
        keyOf={(study) => study.id}
        columns={COLUMNS}
        minWidth={340}
        more="Show older studies"
        empty={
          (owner ?? text ?? course) !== undefined ? (
            <Empty title="No study matches">Search looks at names, titles and templates.</Empty>
          ) : (
            <Empty title="No studies yet">
              A study answers one question with many runs: an installed question, or{" "}
              <AnchorLink to="/studies/new" search={{ kind: "grid" }} size="sm" underline="always">
                your own grid
              </AnchorLink>
              . In the terminal: <code>gpulab study submit course/1b --scale smoke</code>
            </Empty>
          )
        }
      />
    </Stack>
  );
}

function Created({ study }: { study: StudySummary }) {
  const now = useNow(5000);
  return <Ago moment={study.created_at} now={now} />;
}
