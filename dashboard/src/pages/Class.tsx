/** The class, for staff: users, assignments with the status of each student, grades, banners, and the audit log. */

import { Stack, Tabs, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";

import { CLASS_TABS } from "../tabs";
import * as queries from "../api/queries";
import { NotFound } from "../components/NotFound";
import { oneOf } from "../search";
import { Assignments } from "./class/Assignments";
import { Audit } from "./class/Audit";
import { Banners } from "./class/Banners";
import { Users } from "./class/Users";
import { Grades } from "./grades/Grades";

export function Class() {
  const { tab } = useSearch({ from: "/inside/class" });
  const navigate = useNavigate({ from: "/class" });
  const { data: me } = useQuery(queries.me);
  if (me?.role === "student") return <NotFound title="Class">Only instructors can open this page.</NotFound>;
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Class
      </Title>
      <Tabs
        value={tab ?? "users"}
        onChange={(chosen) => void navigate({ search: { tab: oneOf(chosen, CLASS_TABS) }, replace: true })}
        keepMounted={false}
      >
        <Tabs.List mb="md">
          <Tabs.Tab value="users">Users</Tabs.Tab>
          <Tabs.Tab value="assignments">Assignments</Tabs.Tab>
          <Tabs.Tab value="grades">Grades</Tabs.Tab>
          <Tabs.Tab value="banners">Banners</Tabs.Tab>
          <Tabs.Tab value="audit">Audit</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="users">
          <Users />
        </Tabs.Panel>
        <Tabs.Panel value="assignments">
          <Assignments />
        </Tabs.Panel>
        <Tabs.Panel value="grades">
          <Grades />
        </Tabs.Panel>
        <Tabs.Panel value="banners">
          <Banners />
        </Tabs.Panel>
        <Tabs.Panel value="audit">
          <Audit />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}
