/** The programs of an assignment: the starter that students begin with, and the hidden check of what they hand in. */

import { Anchor, Button, Group, NumberInput, Stack, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { FileCode } from "lucide-react";
import { useState, type ReactNode } from "react";

import { api, data } from "../../api/client";
import { program as programOf, programs } from "../../api/programs";
import type { AssignmentRead, AssignmentUpdate, ProgramRead } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { Failure } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { useAction } from "../../components/useAction";
import { duration } from "../../format";
import { likelyStart, lineOf, wordsOf, type Start } from "../program/command";
import { DropFiles } from "../program/DropFiles";
import { WhatToRun } from "../program/WhatToRun";

const DEFAULT_POINTS = 10;
const DEFAULT_MINUTES = 10;
const SECONDS_PER_MINUTE = 60;

export function AssignmentPrograms({ assignment }: { assignment: AssignmentRead }) {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button size="sm" variant="default" leftSection={<FileCode size={16} aria-hidden />} onClick={open}>
        Programs
      </Button>
      <Dialog title={`Programs of ${assignment.name}`} opened={opened} close={close} size="lg">
        <Stack gap="xl">
          <Starter assignment={assignment} />
          <HiddenCheck assignment={assignment} />
        </Stack>
      </Dialog>
    </>
  );
}

/** What is uploaded to take the place of a program, or to be the first. */
interface Upload {
  isOpen: boolean;
  open: () => void;
  sent: ProgramRead | null;
  setSent: (program: ProgramRead | null) => void;
  end: () => void;
}

function useUpload(): Upload {
  const [isOpen, { open, close }] = useDisclosure();
  const [sent, setSent] = useState<ProgramRead | null>(null);
  function end() {
    setSent(null);
    close();
  }
  return { isOpen, open, sent, setSent, end };
}

function useChange(assignment: AssignmentRead, said: string, saved: () => void) {
  return useAction(
    (body: AssignmentUpdate) =>
      data(api.PATCH("/v1/assignments/{assignment_id}", { params: { path: { assignment_id: assignment.id } }, body })),
    () => {
      saved();
      return said;
    },
    true,
  );
}

function Starter({ assignment: { starter, ...assignment } }: { assignment: AssignmentRead }) {
  const upload = useUpload();
  const save = useChange(assignment, `Students of ${assignment.name} begin with this program.`, upload.end);
  const remove = useChange(assignment, `${assignment.name} has no starter any more.`, () => undefined);
  return (
    <Part
      name="Starter"
      about="The program that students begin with. They open, run or download it on the page Assignments."
      attached={starter ?? null}
      upload={upload}
      remove={() => remove.mutate({ starter: null })}
      removing={remove.isPending}
      error={remove.error}
    >
      {(program) => (
        <StarterForm
          key={program.sha256}
          program={program}
          busy={save.isPending}
          error={save.error}
          save={(order) => save.mutate({ starter: order })}
        />
      )}
    </Part>
  );
}

interface FormProps<Order> {
  program: ProgramRead;
  busy: boolean;
  error: Error | null;
  save: (order: Order) => void;
}

function useStart(program: ProgramRead): [Start, (change: Partial<Start>) => void] {
  const [start, setStart] = useState(() => likelyStart(program.files.map((file) => file.path)));
  return [start, (change) => setStart((before) => ({ ...before, ...change }))];
}

function StarterForm({ program, busy, error, save }: FormProps<NonNullable<AssignmentUpdate["starter"]>>) {
  const [start, change] = useStart(program);
  const spec = { program: program.sha256 };
  const order =
    start.notebook === null
      ? { experiment: "script" as const, spec: { ...spec, command: wordsOf(start.command) } }
      : { experiment: "notebook" as const, spec: { ...spec, notebook: start.notebook } };
  return (
    <Ask action="Save the starter" busy={busy} error={error} send={() => save(order)}>
      <WhatToRun program={program} start={start} change={change} />
    </Ask>
  );
}

function HiddenCheck({ assignment: { hidden_check: check, ...assignment } }: { assignment: AssignmentRead }) {
  const upload = useUpload();
  const save = useChange(assignment, `What is handed in for ${assignment.name} is checked.`, upload.end);
  const remove = useChange(assignment, `${assignment.name} has no hidden check any more.`, () => undefined);
  return (
    <Part
      name="Hidden check"
      about="Looks at each run that is handed in, and gives points. Students never see it."
      attached={check ?? null}
      facts={check && `up to ${check.max_points} points, at most ${duration(check.time_limit_seconds)} for each run`}
      upload={upload}
      remove={() => remove.mutate({ hidden_check: null })}
      removing={remove.isPending}
      error={remove.error}
    >
      {(program) => (
        <CheckForm
          key={program.sha256}
          program={program}
          busy={save.isPending}
          error={save.error}
          save={(order) => save.mutate({ hidden_check: order })}
        />
      )}
    </Part>
  );
}

function CheckForm({ program, busy, error, save }: FormProps<NonNullable<AssignmentUpdate["hidden_check"]>>) {
  const [start, change] = useStart(program);
  const [points, setPoints] = useState<number | string>(DEFAULT_POINTS);
  const [minutes, setMinutes] = useState<number | string>(DEFAULT_MINUTES);
  const order = {
    spec: { program: program.sha256, command: wordsOf(start.command) },
    max_points: Number(points),
    time_limit_seconds: Math.round(Number(minutes) * SECONDS_PER_MINUTE),
  };
  return (
    <Ask
      action="Save the check"
      busy={busy}
      missing={points === "" || minutes === "" ? "Enter points and a time limit." : null}
      error={error}
      send={() => save(order)}
    >
      <WhatToRun program={program} start={{ ...start, notebook: null }} change={change} notebooks={false} />
      <Group grow align="flex-end">
        <NumberInput label="Points" description="The maximum" min={0} value={points} onChange={setPoints} />
        <NumberInput
          label="Time limit"
          description="Minutes for each run"
          min={0}
          value={minutes}
          onChange={setMinutes}
        />
      </Group>
    </Ask>
  );
}

interface PartProps {
  name: string;
  about: string;
  /** What the assignment has now. */
  attached: { spec: Record<string, unknown> } | null;
  facts?: ReactNode;
  upload: Upload;
  remove: () => void;
  removing: boolean;
  error: Error | null;
  /** Asks how it starts. */
  children: (program: ProgramRead) => ReactNode;
}

function Part({ name, about, attached, facts, upload, remove, removing, error, children }: PartProps) {
  const { data: first } = useInfiniteQuery(programs);
  const { isOpen, sent } = upload;
  const id = name.toLowerCase().replaceAll(" ", "-");
  return (
    <Stack gap="xs" component="section" aria-labelledby={id}>
      <div>
        <Title order={3} size="h5" id={id}>
          {name}
        </Title>
        <Text size="sm" c="dimmed">
          {about}
        </Text>
      </div>
      {attached !== null && (
        <Group justify="space-between" gap="xs" wrap="nowrap">
          <Attached spec={attached.spec} facts={facts} />
          <Group gap="xs" wrap="nowrap" style={{ flexShrink: 0 }}>
            <Button size="xs" variant="default" onClick={isOpen ? upload.end : upload.open}>
              {isOpen ? "Keep it" : "Replace"}
            </Button>
            <Button size="xs" variant="default" color="red" loading={removing} onClick={remove}>
              Remove
            </Button>
          </Group>
        </Group>
      )}
      {error !== null && <Failure error={error} />}
      {(attached === null || isOpen) && sent === null && (
        <DropFiles limits={first?.pages[0]?.limits} sent={upload.setSent} />
      )}
      {sent !== null && (
        <>
          <Group justify="space-between" gap="xs">
            <Text size="sm" className="break">
              Uploaded: <strong>{nameOf(sent)}</strong>
            </Text>
            <Anchor component="button" type="button" size="sm" onClick={() => upload.setSent(null)}>
              Choose others
            </Anchor>
          </Group>
          {children(sent)}
        </>
      )}
    </Stack>
  );
}

function nameOf(program: ProgramRead): string {
  return program.upload?.name ?? program.sha256.slice(0, 8);
}

function Attached({ spec, facts }: { spec: Record<string, unknown>; facts: ReactNode }) {
  const sha256 = String(spec["program"]);
  const { data: program } = useQuery(programOf(sha256));
  const words = [
    ...((spec["command"] as string[] | undefined) ?? []),
    ...((spec["arguments"] as string[] | undefined) ?? []),
  ];
  return (
    <div style={{ minWidth: 0 }}>
      <AnchorLink to="/programs/$sha256" params={{ sha256 }} size="sm" fw={550} className="break">
        {program === undefined ? sha256.slice(0, 8) : nameOf(program)}
      </AnchorLink>
      <Text size="xs" c="dimmed" className="break">
        <code>{typeof spec["notebook"] === "string" ? spec["notebook"] : lineOf(words)}</code>
        {facts && `, ${facts as string}`}
      </Text>
    </div>
  );
}
