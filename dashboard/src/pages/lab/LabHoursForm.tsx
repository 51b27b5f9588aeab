/** The fields of lab hours: which GPUs, for whom, and when. Times are those of the lab's clocks. */

import { Group, NumberInput, Select, Switch, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import type { LabHoursRead, NodeRead } from "../../api/schema";
import { changed } from "../../changed";
import { Ask } from "../../components/Dialog";
import { CourseChoice } from "../course/CourseChoice";
import { useChoices } from "../course/courses";
import { useAction } from "../../components/useAction";
import { DAY_FIELD, TIME_FIELD } from "../../entered-time";

const DEFAULT_GIVE_BACK_MINUTES = 15;

interface Props {
  before: LabHoursRead | null;
  nodes: NodeRead[];
  done: () => void;
}

export function LabHoursForm({ before, nodes, done }: Props) {
  const { data: assignments } = useQuery(queries.assignments);
  const courses = useChoices({ taught: true });
  const [chosen, choose] = useState<string>();
  const course = before?.course_id ?? chosen ?? courses[0]?.id;
  const [name, setName] = useState(before?.name ?? "");
  const [gpus, setGpus] = useState<number | string>(before === null ? 1 : (before.gpus ?? ""));
  const [node, setNode] = useState<string | null>(before?.node ?? null);
  const [section, setSection] = useState(before?.section ?? "");
  const [assignment, setAssignment] = useState<string | null>(before?.assignment_id ?? null);
  const [start, setStart] = useState(before?.local_start ?? "");
  const [end, setEnd] = useState(before?.local_end ?? "");
  const [weekly, setWeekly] = useState(before === null || before.weekly_until !== null);
  const [until, setUntil] = useState(before?.weekly_until ?? "");
  const [giveBack, setGiveBack] = useState<number | string>(before?.give_back_minutes ?? DEFAULT_GIVE_BACK_MINUTES);
  const body = {
    name: name.trim(),
    gpus: gpus === "" ? null : Number(gpus),
    node,
    section: section.trim() || null,
    assignment_id: assignment,
    start,
    end,
    weekly_until: weekly ? until : null,
    give_back_minutes: Number(giveBack),
  };
  const [first] = useState(body);
  const send = useAction(
    () =>
      before === null
        ? data(api.POST("/v1/lab-hours", { body: { ...body, course_id: course } }))
        : data(
            api.PATCH("/v1/lab-hours/{lab_hours_id}", {
              params: { path: { lab_hours_id: before.id } },
              body: changed(first, body),
            }),
          ),
    (hours) => {
      done();
      return `${hours.name}: ${hours.when}.`;
    },
    true,
  );
  const of = (assignments?.items ?? []).filter((item) => course === undefined || item.course_id === course);
  const hasUsers = Object.keys(before?.users ?? {}).length > 0;
  const isFor = section.trim() !== "" || assignment !== null || hasUsers;
  const ready = name.trim() !== "" && isFor && start !== "" && end !== "" && (!weekly || until !== "");
  const machines = nodes.filter((one) => one.gpus.length > 0).map((one) => one.name);
  return (
    <Ask
      action={before === null ? "Keep free" : "Save"}
      busy={send.isPending}
      ready={ready}
      error={send.error}
      send={() => send.mutate(undefined)}
    >
      <TextInput
        label="Name"
        placeholder="Lab of section A"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <Group grow align="flex-start">
        <NumberInput
          label="GPUs"
          description="Empty: all of the machine"
          min={1}
          allowDecimal={false}
          value={gpus}
          onChange={setGpus}
        />
        <Select
          label="Machine"
          description="Empty: any machine"
          placeholder="Any"
          data={machines}
          value={node}
          onChange={setNode}
          clearable
        />
      </Group>
      {before === null && <CourseChoice courses={courses} chosen={course} choose={choose} required />}
      <Group grow align="flex-start">
        <TextInput
          label="Section"
          description="For jobs of its students"
          value={section}
          onChange={(event) => setSection(event.currentTarget.value)}
        />
        <Select
          label="Assignment"
          description="For work on it"
          placeholder="Any"
          data={of.map((item) => ({ value: item.id, label: item.name }))}
          value={assignment}
          onChange={setAssignment}
          clearable
        />
      </Group>
      <Group grow align="flex-start">
        <TextInput
          label="Start"
          description="In the lab's time zone"
          {...TIME_FIELD}
          value={start}
          onChange={(event) => setStart(event.currentTarget.value)}
        />
        <TextInput
          label="End"
          description="In the lab's time zone"
          {...TIME_FIELD}
          value={end}
          onChange={(event) => setEnd(event.currentTarget.value)}
        />
      </Group>
      <Switch label="Each week" checked={weekly} onChange={(event) => setWeekly(event.currentTarget.checked)} />
      {weekly && (
        <TextInput
          label="Until"
          description="The last day on which they can begin"
          {...DAY_FIELD}
          value={until}
          onChange={(event) => setUntil(event.currentTarget.value)}
        />
      )}
      <NumberInput
        label="Give back after"
        description="In minutes after the start. Then all users can use GPUs that no job of these lab hours uses or waits for"
        min={0}
        max={1440}
        allowDecimal={false}
        value={giveBack}
        onChange={setGiveBack}
      />
      {!ready && (
        <Text size="xs" c="dimmed">
          Give them a name, a start, an end, and a section or an assignment.
        </Text>
      )}
    </Ask>
  );
}
