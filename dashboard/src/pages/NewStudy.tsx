/** A new study: a question of a course, or your own grid. */

import { Breadcrumbs, Card, Select, Stack, Tabs, Text, TextInput, Title } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { api, data } from "../api/client";
import * as queries from "../api/queries";
import type { StudyCreate } from "../api/schema";
import { Ask } from "../components/Dialog";
import { AnchorLink } from "../components/Links";
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
        value={kind ?? "course"}
        onChange={(chosen) =>
          void navigate({
            search: (before) => ({ ...before, kind: chosen === "grid" ? "grid" : undefined }),
            replace: true,
          })
        }
        keepMounted={false}
      >
        <Tabs.List mb="md">
          <Tabs.Tab value="course">From a course</Tabs.Tab>
          <Tabs.Tab value="grid">Your own grid</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="course">
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
  { value: "full", label: "Full: hours, the sizes of the course" },
];

function FromTemplate() {
  const navigate = useNavigate();
  const { data: courses } = useQuery(queries.courses);
  const { template: given } = useSearch({ from: "/inside/studies/new" });
  const [template, setTemplate] = useState(given ?? null);
  const [scale, setScale] = useState<string | null>("smoke");
  const [name, setName] = useState("");
  const send = useMutation({
    mutationFn: () => {
      const order = { template, scale, name: name.trim() || null };
      return data(api.POST("/v1/studies", { body: order as StudyCreate }));
    },
    onSuccess: (study) => navigate({ to: "/studies/$id", params: { id: study.id } }),
  });
  if (courses?.items.length === 0) {
    return <Text c="dimmed">No course is installed in this lab.</Text>;
  }
  return (
    <Card maw="36rem">
      <Ask action="Start" busy={send.isPending} ready={template !== null} error={send.error} send={() => send.mutate()}>
        <Select
          label="Question"
          placeholder="Choose one"
          data={templateChoices(courses?.items ?? [])}
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
        <Text size="xs" c="dimmed">
          Your finished runs with the same spec are reused.
        </Text>
      </Ask>
    </Card>
  );
}
