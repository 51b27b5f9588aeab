/** The class, for staff: who is in it, how they stand with an assignment, and what was done by whom. */

import { Stack, Tabs, Title } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";

import { CLASS_TABS } from "../router";
import { oneOf } from "../search";
import { Assignments } from "./class/Assignments";
import { Audit } from "./class/Audit";
import { People } from "./class/People";

export function Class() {
  const { tab } = useSearch({ from: "/inside/class" });
  const navigate = useNavigate({ from: "/class" });
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Class
      </Title>
      <Tabs
        value={tab ?? "people"}
        onChange={(chosen) => void navigate({ search: { tab: oneOf(chosen, CLASS_TABS) }, replace: true })}
        keepMounted={false}
      >
        <Tabs.List mb="md">
          <Tabs.Tab value="people">People</Tabs.Tab>
          <Tabs.Tab value="assignments">Assignments</Tabs.Tab>
          <Tabs.Tab value="audit">Audit</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="people">
          <People />
        </Tabs.Panel>
        <Tabs.Panel value="assignments">
          <Assignments />
        </Tabs.Panel>
        <Tabs.Panel value="audit">
          <Audit />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}
