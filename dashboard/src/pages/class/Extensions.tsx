/** Later deadlines for single students and sections: who has one, giving one, and taking it back. */

import { ActionIcon, Button, Group, SegmentedControl, Select, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { CalendarClock, Trash2 } from "lucide-react";
import { useState } from "react";

import { api, data, done } from "../../api/client";
import * as queries from "../../api/queries";
import type { AssignmentRead, ExtensionRead, RosterRead } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { Answer } from "../../components/Feedback";
import { useAction } from "../../components/useAction";
import { setTime } from "../../format";
import { useLaterDeadline } from "./useLaterDeadline";

const MAX_SHOWN = 50;

const extensionsOf = (id: string) =>
  queryOptions({
    queryKey: ["assignments", id, "extensions"],
    queryFn: ({ signal }) =>
      data(api.GET("/v1/assignments/{assignment_id}/extensions", { params: { path: { assignment_id: id } }, signal })),
  });

export function Extensions({ assignment }: { assignment: AssignmentRead }) {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button size="sm" variant="default" leftSection={<CalendarClock size={16} aria-hidden />} onClick={open}>
        Extensions
      </Button>
      <Dialog title={`Extensions of ${assignment.name}`} opened={opened} close={close} size="lg">
        <Stack>
          <Given assignment={assignment} />
          <Give assignment={assignment} />
        </Stack>
      </Dialog>
    </>
  );
}

function Given({ assignment }: { assignment: AssignmentRead }) {
  const query = useQuery(extensionsOf(assignment.id));
  return (
    <Answer query={query}>
      {({ items }) =>
        items.length === 0 ? (
          <Text size="sm" c="dimmed">
            Everybody has the deadline of the assignment, {setTime(assignment.deadline)}.
          </Text>
        ) : (
          <Stack gap="xs">
            {items.map((extension) => (
              <One key={extension.id} assignment={assignment} extension={extension} />
            ))}
          </Stack>
        )
      }
    </Answer>
  );
}

function whose({ user, section }: ExtensionRead): string {
  return user ?? `Section ${section}`;
}

function One({ assignment, extension }: { assignment: AssignmentRead; extension: ExtensionRead }) {
  const end = useAction(
    () =>
      done(
        api.DELETE("/v1/assignments/{assignment_id}/extensions/{extension_id}", {
          params: { path: { assignment_id: assignment.id, extension_id: extension.id } },
        }),
      ),
    () => `${whose(extension)} has the deadline of the assignment again.`,
  );
  return (
    <Group justify="space-between" wrap="nowrap">
      <div style={{ minWidth: 0 }}>
        <Text size="sm" fw={550} className="break">
          {whose(extension)}
        </Text>
        <Text size="xs" c="dimmed" className="break">
          Due {setTime(extension.deadline)}
          {extension.reason !== null && `: ${extension.reason}`}
        </Text>
      </div>
      <ActionIcon
        variant="subtle"
        color="red"
        aria-label={`Take back the extension of ${whose(extension)}`}
        loading={end.isPending}
        onClick={() => end.mutate(undefined)}
      >
        <Trash2 size={16} aria-hidden />
      </ActionIcon>
    </Group>
  );
}

type Target = "student" | "section";

function Give({ assignment }: { assignment: AssignmentRead }) {
  const { data: people } = useQuery(queries.roster);
  const [target, setTarget] = useState<Target>("student");
  const [chosen, choose] = useState<string | null>(null);
  const later = useLaterDeadline(assignment);
  const send = useAction(
    () =>
      data(
        api.POST("/v1/assignments/{assignment_id}/extensions", {
          params: { path: { assignment_id: assignment.id } },
          body: {
            ...(target === "student" ? { user_id: chosen } : { section: chosen }),
            ...later.body(),
          },
        }),
      ),
    (made) => {
      choose(null);
      later.clearReason();
      return `${whose(made)} has time until ${setTime(made.deadline)}.`;
    },
    true,
  );
  return (
    <Ask
      action="Extend"
      busy={send.isPending}
      missing={chosen === null ? `Choose a ${target}.` : later.missing}
      error={send.error}
      send={() => send.mutate(undefined)}
    >
      <SegmentedControl
        aria-label="Who gets more time"
        data={[
          { value: "student", label: "A student" },
          { value: "section", label: "A section" },
        ]}
        value={target}
        onChange={(next) => {
          setTarget(next);
          choose(null);
        }}
      />
      <Select
        key={target}
        label={target === "student" ? "Student" : "Section"}
        placeholder="Search"
        data={choices(people, target)}
        value={chosen}
        onChange={choose}
        searchable
        limit={MAX_SHOWN}
        nothingFoundMessage="None found"
      />
      {later.fields}
    </Ask>
  );
}

function choices(people: RosterRead | undefined, target: Target): { value: string; label: string }[] {
  if (people === undefined) return [];
  if (target === "section") {
    const sections = new Set(people.groups.flatMap(({ section }) => (section === null ? [] : [section])));
    return [...sections].map((section) => ({ value: section, label: section }));
  }
  return people.users.map(({ id, name, email }) => ({
    value: id,
    label: email === null ? name : `${name}, ${email}`,
  }));
}
