/** The class, for staff: users, assignments with the status of each student, grades, banners, and the audit log. */

import { Group, Stack, Tabs, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";

import { CLASS_TABS } from "../tabs";
import * as queries from "../api/queries";
import { NotFound } from "../components/NotFound";
import { oneOf } from "../search";
import { TabStrip } from "../shell/TabStrip";
import { Assignments } from "./class/Assignments";
import { Audit } from "./class/Audit";
import { Banners } from "./class/Banners";
import { CoursePicker } from "./class/course";
import { Courses } from "./class/Courses";
import { Users } from "./class/Users";
import { useCourses, useTaught } from "./course/courses";
import { Grades } from "./grades/Grades";

export function Class() {
  const { tab } = useSearch({ from: "/inside/class" });
  const navigate = useNavigate({ from: "/class" });
  const { data: me } = useQuery(queries.me);
  const [courses, taught] = [useCourses(), useTaught()];
  const showsCourses = me?.role === "admin" || (courses.length > 1 && taught.length > 0);
  if (me?.teaches === false) return <NotFound title="Class">Only instructors can open this page.</NotFound>;
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Title order={1} size="h2">
          Class
        </Title>
        <CoursePicker />
      </Group>
      <Tabs
        value={tab ?? "users"}
        onChange={(chosen) =>
          void navigate({ search: (before) => ({ ...before, tab: oneOf(chosen, CLASS_TABS) }), replace: true })
        }
        keepMounted={false}
      >
        <TabStrip selected={tab ?? "users"}>
          <Tabs.Tab value="users">Users</Tabs.Tab>
          <Tabs.Tab value="assignments">Assignments</Tabs.Tab>
          <Tabs.Tab value="grades">Grades</Tabs.Tab>
          <Tabs.Tab value="banners">Banners</Tabs.Tab>
          <Tabs.Tab value="audit">Audit</Tabs.Tab>
          {showsCourses && <Tabs.Tab value="courses">Courses</Tabs.Tab>}
        </TabStrip>
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
        <Tabs.Panel value="courses">
          <Courses />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}
