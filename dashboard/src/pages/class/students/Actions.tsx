/** What staff do for many students at once: for those that are selected, or for all that the filters leave. */

import { Button, Group, List, Menu, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { Ban, CalendarClock, ChevronDown, MessageSquare, RotateCw, type LucideIcon } from "lucide-react";
import { useState, type ReactNode } from "react";

import { api, data } from "../../../api/client";
import type { AssignmentRead, StudentsDone, TileRead } from "../../../api/schema";
import { Ask, Dialog } from "../../../components/Dialog";
import { useAction } from "../../../components/useAction";
import { instant, isTime, local, TIME_FIELD } from "../../../entered-time";
import { counted } from "../../../format";
import { useLaterDeadline } from "../useLaterDeadline";
import { inParts } from "./parts";

const MAX_CHARACTERS = 500;
const MAX_STUDENTS = 1000;
const MAX_CHECKED_STUDENTS = 25;
const WEEK_MILLISECONDS = 7 * 24 * 3_600_000;

const KINDS = {
  extend: { icon: CalendarClock, label: "Give more time" },
  message: { icon: MessageSquare, label: "Write a message" },
  cancel: { icon: Ban, label: "Cancel waiting runs" },
  check: { icon: RotateCw, label: "Check again" },
} satisfies Record<string, { icon: LucideIcon; label: string }>;
type Kind = keyof typeof KINDS;

interface ActionsProps {
  assignment: AssignmentRead;
  /** All that the filters leave. */
  students: readonly TileRead[];
  chosen: ReadonlySet<string>;
  clear: () => void;
  /** Whether they are those of former filters. */
  stale: boolean;
}

export function Actions({ assignment, students, chosen, clear, stale }: ActionsProps) {
  const [open, setOpen] = useState<{ kind: Kind; people: readonly TileRead[] } | null>(null);
  const [busy, setBusy] = useState(false);
  // Nobody is meant who is not shown.
  const meant = chosen.size > 0 ? students.filter((student) => chosen.has(student.user_id)) : students;
  const close = () => !busy && setOpen(null);
  const kinds = Object.keys(KINDS) as Kind[];
  return (
    <Group gap="xs">
      {chosen.size > 0 && (
        <Button size="xs" variant="subtle" color="gray" onClick={clear}>
          Clear selection
        </Button>
      )}
      <Menu position="bottom-end">
        <Menu.Target>
          <Button
            size="xs"
            variant="default"
            disabled={stale || meant.length === 0}
            rightSection={<ChevronDown size={14} aria-hidden />}
          >
            {chosen.size > 0
              ? `Actions for ${meant.length} selected`
              : `Actions for ${counted(meant.length, "student")}`}
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {kinds.map((kind) => {
            const { icon: Icon, label } = KINDS[kind];
            return (
              <Menu.Item
                key={kind}
                leftSection={<Icon size={16} aria-hidden />}
                onClick={() => setOpen({ kind, people: meant })}
              >
                {label}
              </Menu.Item>
            );
          })}
        </Menu.Dropdown>
      </Menu>
      <Dialog title={open ? KINDS[open.kind].label : ""} opened={open !== null} close={close}>
        {open && <Act {...open} assignment={assignment} close={() => setOpen(null)} setBusy={setBusy} />}
      </Dialog>
    </Group>
  );
}

interface ActProps {
  kind: Kind;
  people: readonly TileRead[];
  assignment: AssignmentRead;
  close: () => void;
  /** Says that requests are on their way, so that the dialog stays until their outcome is there. */
  setBusy: (busy: boolean) => void;
}

function Act({ kind, ...more }: ActProps) {
  switch (kind) {
    case "extend":
      return <Extend {...more} />;
    case "message":
      return <Message {...more} />;
    case "cancel":
      return <Cancel {...more} />;
    case "check":
      return <Check {...more} />;
  }
}

type OneProps = Omit<ActProps, "kind">;

function Extend({ people, assignment, close, setBusy }: OneProps) {
  const later = useLaterDeadline(assignment);
  return (
    <Confirm
      people={people}
      setBusy={setBusy}
      size={MAX_STUDENTS}
      action={`Extend for ${counted(people.length, "student")}`}
      missing={later.missing}
      send={(user_ids) =>
        data(
          api.POST("/v1/assignments/{assignment_id}/students/extend", {
            params: { path: { assignment_id: assignment.id } },
            body: { user_ids, ...later.body() },
          }),
        )
      }
      said={({ done }) => `${counted(done, "student")} ${done === 1 ? "has" : "have"} the new deadline.`}
      close={close}
    >
      <Text size="sm">
        Gives {counted(people.length, "student")} a later deadline for {assignment.name}. Students with an even later
        one keep it.
      </Text>
      {later.fields}
    </Confirm>
  );
}

function Message({ people, assignment, close, setBusy }: OneProps) {
  const [words, setWords] = useState("");
  const [until, setUntil] = useState(() => local(new Date(Date.now() + WEEK_MILLISECONDS)));
  return (
    <Confirm
      people={people}
      setBusy={setBusy}
      size={MAX_STUDENTS}
      action={`Send to ${counted(people.length, "student")}`}
      missing={words.trim() === "" ? "Write a message." : isTime(until) ? null : "Choose until when it is shown."}
      send={(user_ids) =>
        data(
          api.POST("/v1/assignments/{assignment_id}/students/message", {
            params: { path: { assignment_id: assignment.id } },
            body: { user_ids, text: words.trim(), ends_at: instant(until) },
          }),
        )
      }
      said={({ done }) => `${counted(done, "student")} can read it now.`}
      close={close}
    >
      <Text size="sm">
        {counted(people.length, "student")} will see this on top of every page, until they dismiss it or it ends. You
        find it under Banners.
      </Text>
      <Textarea
        label="Message"
        autosize
        minRows={3}
        maxLength={MAX_CHARACTERS}
        value={words}
        onChange={(event) => setWords(event.currentTarget.value)}
        data-autofocus
      />
      <TextInput
        label="Show until"
        {...TIME_FIELD}
        value={until}
        onChange={(event) => setUntil(event.currentTarget.value)}
      />
    </Confirm>
  );
}

function Cancel({ people, assignment, close, setBusy }: OneProps) {
  return (
    <Confirm
      people={people}
      setBusy={setBusy}
      size={MAX_STUDENTS}
      action={`Cancel for ${counted(people.length, "student")}`}
      send={(user_ids) =>
        data(
          api.POST("/v1/assignments/{assignment_id}/students/cancel-waiting", {
            params: { path: { assignment_id: assignment.id } },
            body: { user_ids },
          }),
        )
      }
      said={({ done, runs }) => `Cancelled ${counted(runs, "run")} of ${counted(done, "student")}.`}
      close={close}
    >
      <Text size="sm">
        Cancels the runs of {counted(people.length, "student")} that wait in the queue and count for {assignment.name}.
        Runs that have started continue.
      </Text>
    </Confirm>
  );
}

function Check({ people, assignment, close, setBusy }: OneProps) {
  return (
    <Confirm
      people={people}
      setBusy={setBusy}
      size={MAX_CHECKED_STUDENTS}
      action={`Check ${counted(people.length, "student")} again`}
      send={(user_ids) =>
        data(
          api.POST("/v1/assignments/{assignment_id}/students/check", {
            params: { path: { assignment_id: assignment.id } },
            body: { user_ids },
          }),
        )
      }
      said={({ runs }) => `${counted(runs, "check")} queued.`}
      close={close}
    >
      <Text size="sm">
        Runs the hidden check of {assignment.name} again on what {counted(people.length, "student")} handed in.
      </Text>
    </Confirm>
  );
}

interface ConfirmProps extends Pick<ActProps, "people" | "setBusy" | "close"> {
  /** Students of one request. */
  size: number;
  action: string;
  missing?: string | null;
  send: (ids: string[]) => Promise<StudentsDone>;
  said: (done: StudentsDone) => string;
  children: ReactNode;
}

/** The fields with a button that says how many are meant; afterwards what was done, and for whom it was not. */
function Confirm({ people, setBusy, size, action, missing = null, send, said, close, children }: ConfirmProps) {
  const [finished, setFinished] = useState(0);
  const act = useAction(
    async () => {
      setBusy(true);
      try {
        return await inParts(people, size, send, setFinished);
      } finally {
        setBusy(false);
      }
    },
    () => null,
    true,
  );
  if (act.data !== undefined) return <Result done={act.data} said={said(act.data)} close={close} />;
  return (
    <Ask action={action} busy={act.isPending} missing={missing} error={act.error} send={() => act.mutate(undefined)}>
      {children}
      {act.isPending && finished > 0 && (
        <Text size="sm" role="status">
          {finished} of {people.length} done
        </Text>
      )}
    </Ask>
  );
}

function Result({ done, said, close }: { done: StudentsDone; said: string; close: () => void }) {
  return (
    <Stack gap="sm">
      <Text size="sm" role="status" fw={550}>
        {said}
      </Text>
      {done.not_done.length > 0 && (
        <div>
          <Text size="sm">Not for {counted(done.not_done.length, "student")}:</Text>
          <List size="sm" mah="40vh" style={{ overflowY: "auto" }} aria-label="Students left out">
            {done.not_done.map(({ user_id, user, reason }) => (
              <List.Item key={user_id}>
                {user ?? user_id}: {reason}
              </List.Item>
            ))}
          </List>
        </div>
      )}
      <Button onClick={close}>Close</Button>
    </Stack>
  );
}
