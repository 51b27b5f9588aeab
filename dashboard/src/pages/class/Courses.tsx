/** The courses that the user teaches, all for admins: adding one, its weight, archiving it, opening it again. */

import { Button, Group, NumberInput, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import type { CourseRead } from "../../api/schema";
import { Ask, Dialog, NameInput } from "../../components/Dialog";
import { Answer } from "../../components/Feedback";
import { useAction } from "../../components/useAction";
import { counted, fullTime, number } from "../../format";
import { nameOf, useTaught } from "../course/courses";

export function Courses() {
  const query = useQuery(queries.courses);
  const taught = useTaught();
  const { data: me } = useQuery(queries.me);
  const admin = me?.role === "admin";
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Text size="sm" c="dimmed">
          Each course has its own people, assignments and lab hours. All courses share the GPUs.
        </Text>
        {admin && <AddCourse />}
      </Group>
      <Answer query={query}>
        {() => (
          <Stack gap="xs">
            {taught.map((course) => (
              <Course key={course.id} course={course} admin={admin} />
            ))}
          </Stack>
        )}
      </Answer>
    </Stack>
  );
}

function Course({ course, admin }: { course: CourseRead; admin: boolean }) {
  const open = course.archived_at === null;
  const [asked, { open: ask, close }] = useDisclosure();
  const change = useAction(
    (archived: boolean) =>
      data(api.PATCH("/v1/courses/{course_id}", { params: { path: { course_id: course.id } }, body: { archived } })),
    (changed) => {
      close();
      return changed.archived_at === null ? `Opened ${changed.name} again.` : `Archived ${changed.name}.`;
    },
  );
  return (
    <Group justify="space-between" wrap="wrap">
      <div>
        <Text fw={550}>{nameOf(course)}</Text>
        <Text size="xs" c="dimmed">
          {[
            counted(course.students ?? 0, "student"),
            course.instructors.length === 0 ? "no instructor" : `taught by ${course.instructors.join(", ")}`,
            ...(course.weight === 1 ? [] : [`weight ${number(course.weight)}`]),
            ...(course.archived_at === null ? [] : [`archived ${fullTime(course.archived_at)}`]),
          ].join(" · ")}
        </Text>
      </div>
      <Group gap="xs">
        {admin && <ChangeWeight course={course} />}
        {open ? (
          <Button size="xs" variant="default" onClick={ask} aria-label={`Archive ${nameOf(course)}`}>
            Archive
          </Button>
        ) : (
          admin && (
            <Button
              size="xs"
              variant="default"
              loading={change.isPending}
              onClick={() => change.mutate(false)}
              aria-label={`Open ${nameOf(course)} again`}
            >
              Open again
            </Button>
          )
        )}
      </Group>
      <Dialog title={`Archive ${nameOf(course)}`} opened={asked} close={close}>
        <Ask action="Archive" busy={change.isPending} send={() => change.mutate(true)}>
          <Text size="sm">
            Everything stays readable. Submissions, hand-ins, grades and changes are refused until an admin opens the
            course again. Runs that are already queued go on.
          </Text>
        </Ask>
      </Dialog>
    </Group>
  );
}

/** Between courses that wait for the same GPUs. */
function ChangeWeight({ course }: { course: CourseRead }) {
  const [opened, { open, close }] = useDisclosure();
  const [weight, setWeight] = useState<number | string>(course.weight);
  const send = useAction(
    () =>
      data(
        api.PATCH("/v1/courses/{course_id}", {
          params: { path: { course_id: course.id } },
          body: { weight: Number(weight) },
        }),
      ),
    (changed) => {
      close();
      return `${changed.name} has the weight ${number(changed.weight)}.`;
    },
    true,
  );
  return (
    <>
      <Button size="xs" variant="default" onClick={open} aria-label={`Weight of ${nameOf(course)}`}>
        Weight
      </Button>
      <Dialog title={`Weight of ${nameOf(course)}`} opened={opened} close={close}>
        <Ask
          action="Save"
          busy={send.isPending}
          missing={weight === "" ? "Enter a weight." : null}
          error={send.error}
          send={() => send.mutate(undefined)}
        >
          <NumberInput
            label="Weight"
            description="While all wait, a user's runs of a course with weight 2 get twice the time of those with weight 1"
            min={0.01}
            max={1000}
            step={0.5}
            value={weight}
            onChange={setWeight}
          />
        </Ask>
      </Dialog>
    </>
  );
}

function AddCourse() {
  const [opened, { open, close }] = useDisclosure();
  const [name, setName] = useState("");
  const [term, setTerm] = useState("");
  const send = useAction(
    () => data(api.POST("/v1/courses", { body: { name: name.trim(), term: term.trim() || null } })),
    (made) => {
      close();
      setName("");
      setTerm("");
      return `Added ${made.name}.`;
    },
    true,
  );
  return (
    <>
      <Button size="sm" leftSection={<Plus size={16} aria-hidden />} onClick={open}>
        Add course
      </Button>
      <Dialog title="Add course" opened={opened} close={close}>
        <Ask
          action="Add"
          busy={send.isPending}
          ready={name.trim() !== ""}
          error={send.error}
          send={() => send.mutate(undefined)}
        >
          <NameInput placeholder="cs231n" value={name} set={setName} />
          <TextInput
            label="Term"
            placeholder="Autumn 2030"
            value={term}
            onChange={(event) => setTerm(event.currentTarget.value)}
          />
        </Ask>
      </Dialog>
    </>
  );
}
