/** A new study: an installed question, or your own grid. */

import { Breadcrumbs, Card, Select, Stack, Tabs, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { api, data } from "../api/client";
import * as queries from "../api/queries";
import type { StudyCreate } from "../api/schema";
import { Ask } from "../components/Dialog";
import { AnchorLink } from "../components/Links";
import { CourseChoice } from "./course/CourseChoice";
import { useChoices } from "./course/courses";
import { Grid } from "./study/Grid";
import { templateChoices } from "./study/templates";

export function NewStudy() {
  const { kind } = useSearch({ from: "/inside/studies/new" });
  const navigate = useNavigate({ from: "/studies/new" });
  return (
    <Stack gap="md">
      <Breadcrumbs>
        <AnchorLink to="/studies" size="sm">
          Studies
        </AnchorLink>
        <Text size="sm" c="dimmed">
          New
        </Text>
      </Breadcrumbs>
      <Title order={1} size="h2">
        New study
      </Title>
      <Tabs
        value={kind ?? "questions"}
        onChange={(chosen) =>
          void navigate({
            search: (before) => ({ ...before, kind: chosen === "grid" ? "grid" : undefined }),
            replace: true,
          })
        }
        keepMounted={false}
      >
        <Tabs.List mb="md">
          <Tabs.Tab value="questions">From a question set</Tabs.Tab>
          <Tabs.Tab value="grid">Your own grid</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="questions">
          <FromTemplate />
        </Tabs.Panel>
        <Tabs.Panel value="grid">
          <Grid />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

const SCALES = [
  { value: "smoke", label: "Smoke: seconds, only checks that it works" },
  { value: "cpu", label: "CPU: minutes, enough to see the result" },
  { value: "full", label: "Full: hours, the sizes of the homework" },
];

function FromTemplate() {
  const navigate = useNavigate();
  const { data: questionSets } = useQuery(queries.questionSets);
  const { template: given } = useSearch({ from: "/inside/studies/new" });
  const [template, setTemplate] = useState(given ?? null);
  const [scale, setScale] = useState<string | null>("smoke");
  const [name, setName] = useState("");
  const [course, setCourse] = useState<string>();
  const courses = useChoices({ taught: false });
  const send = useMutation({
    mutationFn: () => {
      const order = { template, scale, name: name.trim() || null, course_id: course };
      return data(api.POST("/v1/studies", { body: order as StudyCreate }));
    },
    onSuccess: (study) => navigate({ to: "/studies/$id", params: { id: study.id } }),
  });
  if (questionSets?.items.length === 0) {
    return <Text c="dimmed">No question set is installed in this lab.</Text>;
  }
  return (
    <Card maw="36rem">
      <Ask action="Start" busy={send.isPending} ready={template !== null} error={send.error} send={() => send.mutate()}>
        <Select
          label="Question"
          placeholder="Choose one"
          data={templateChoices(questionSets?.items ?? [])}
          value={template}
          onChange={setTemplate}
          searchable
          required
          withAsterisk={false}
        />
        <Select label="Scale" data={SCALES} value={scale} onChange={setScale} allowDeselect={false} />
        <TextInput
          label="Name"
          description="Optional; a name you will recognise"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <CourseChoice courses={courses} chosen={course} choose={setCourse} />
        <Text size="xs" c="dimmed">
          Your finished runs with the same spec are reused.
        </Text>
      </Ask>
    </Card>
  );
}
