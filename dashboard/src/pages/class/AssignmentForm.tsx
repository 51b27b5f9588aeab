/** Creates and edits an assignment: what the class hands in, and until when. */

import { Button, Group, MultiSelect, NumberInput, Select, Switch, Textarea, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Pencil, Plus } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import type { AssignmentRead } from "../../api/schema";
import { Ask, Dialog, NameInput } from "../../components/Dialog";
import { useAction } from "../../components/useAction";
import { changed } from "../../changed";
import { instant, isTime, local, TIME_FIELD } from "../../entered-time";
import { setTime } from "../../format";
import { templateChoices } from "../study/templates";
import { useCourse } from "./course";

/** The lab's default. */
const DEFAULT_TOLERANCE = 1e-5;
const WEEK_MILLISECONDS = 7 * 24 * 3600 * 1000;

export function NewAssignment({ made }: { made: (id: string) => void }) {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button size="sm" leftSection={<Plus size={16} aria-hidden />} onClick={open}>
        New assignment
      </Button>
      <Dialog title="New assignment" opened={opened} close={close}>
        <Form
          done={(assignment) => {
            close();
            made(assignment.id);
          }}
        />
      </Dialog>
    </>
  );
}

export function EditAssignment({ assignment }: { assignment: AssignmentRead }) {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button size="sm" variant="default" leftSection={<Pencil size={16} aria-hidden />} onClick={open}>
        Edit
      </Button>
      <Dialog title={`Edit ${assignment.name}`} opened={opened} close={close}>
        <Form before={assignment} done={close} />
      </Dialog>
    </>
  );
}

function orNull(entry: number | string): number | null {
  return entry === "" ? null : Number(entry);
}

function endOfDay(moment: Date): Date {
  return new Date(moment.getFullYear(), moment.getMonth(), moment.getDate(), 23, 59);
}

function Form({ before, done }: { before?: AssignmentRead; done: (assignment: AssignmentRead) => void }) {
  const { data: catalogue } = useQuery(queries.experiments);
  const { data: questionSets } = useQuery(queries.questionSets);
  const course = useCourse();
  const [name, setName] = useState(before?.name ?? "");
  const [deadline, setDeadline] = useState(
    local(before ? new Date(before.deadline) : endOfDay(new Date(Date.now() + WEEK_MILLISECONDS))),
  );
  const [description, setDescription] = useState(before?.description ?? "");
  const [templates, setTemplates] = useState(before?.templates ?? []);
  const [experiments, setExperiments] = useState(before?.experiments ?? []);
  const [tolerance, setTolerance] = useState<number | string>(before?.tolerance ?? DEFAULT_TOLERANCE);
  const [maxPoints, setMaxPoints] = useState<number | string>(before?.max_points ?? "");
  const [rerunPoints, setRerunPoints] = useState<number | string>(before?.rerun_points ?? "");
  const [lateDays, setLateDays] = useState<number | string>(before?.late_days ?? "");
  const [lateDeduction, setLateDeduction] = useState<number | string>(before?.late_deduction ?? 0);
  const [lateUnit, setLateUnit] = useState(before?.late_deduction_unit ?? "percent");
  const [answersLater, setAnswersLater] = useState(before?.answers_after_deadline ?? true);
  const body = {
    name: name.trim(),
    deadline,
    max_points: orNull(maxPoints),
    rerun_points: orNull(rerunPoints),
    late_days: orNull(lateDays),
    late_deduction: Number(lateDeduction),
    late_deduction_unit: lateUnit,
    answers_after_deadline: answersLater,
    description: description.trim() || null,
    templates,
    experiments,
    tolerance: Number(tolerance),
  };
  const [first] = useState(body);
  const send = useAction(
    () => {
      if (before === undefined)
        return data(
          api.POST("/v1/assignments", { body: { ...body, deadline: instant(deadline), course_id: course?.id } }),
        );
      // An unchanged deadline keeps its seconds, and may be in the past.
      const { deadline: later, ...others } = changed(first, body);
      return data(
        api.PATCH("/v1/assignments/{assignment_id}", {
          params: { path: { assignment_id: before.id } },
          body: later === undefined ? others : { ...others, deadline: instant(later) },
        }),
      );
    },
    (assignment) => {
      done(assignment);
      return before === undefined ? `Created ${assignment.name}.` : `Saved ${assignment.name}.`;
    },
    true,
  );
  const ready = name.trim() !== "" && isTime(deadline) && tolerance !== "" && templates.length + experiments.length > 0;
  return (
    <Ask
      action={before === undefined ? "Create" : "Save"}
      busy={send.isPending}
      missing={ready ? null : "Give it a name, a deadline and at least one question or experiment."}
      error={send.error}
      send={() => send.mutate(undefined)}
    >
      <NameInput placeholder="Homework 1" value={name} set={setName} />
      <TextInput
        label="Deadline"
        description={isTime(deadline) ? `In your time zone: ${setTime(instant(deadline))}` : "In your time zone"}
        {...TIME_FIELD}
        value={deadline}
        onChange={(event) => setDeadline(event.currentTarget.value)}
      />
      <MultiSelect
        label="Questions"
        description="Runs that answer these questions count"
        placeholder={templates.length === 0 ? "Choose questions" : ""}
        data={templateChoices(questionSets?.items ?? [])}
        value={templates}
        onChange={setTemplates}
        searchable
        hidePickedOptions
      />
      <MultiSelect
        label="Experiments"
        description="All runs of these count"
        placeholder={experiments.length === 0 ? "Choose experiments" : ""}
        data={(catalogue?.items ?? []).map((entry) => ({ value: entry.slug, label: entry.title }))}
        value={experiments}
        onChange={setExperiments}
        searchable
        hidePickedOptions
      />
      <Textarea
        label="Description"
        description="Optional; the class sees it"
        autosize
        minRows={2}
        maxRows={8}
        value={description}
        onChange={(event) => setDescription(event.currentTarget.value)}
      />
      <Group grow align="flex-end">
        <NumberInput label="Points" description="The maximum" min={0} value={maxPoints} onChange={setMaxPoints} />
        <NumberInput
          label="Re-run points"
          description="Within the tolerance"
          min={0}
          value={rerunPoints}
          onChange={setRerunPoints}
        />
        <NumberInput
          label="Tolerance"
          description="Relative, of re-runs"
          min={0}
          max={1}
          step={0.001}
          value={tolerance}
          onChange={setTolerance}
        />
      </Group>
      <Group grow align="flex-end">
        <NumberInput
          label="Late days"
          description="Empty: no limit"
          min={0}
          max={366}
          allowDecimal={false}
          value={lateDays}
          onChange={setLateDays}
        />
        <NumberInput
          label="Deduction per late day"
          description="From the points"
          min={0}
          max={lateUnit === "percent" ? 100 : undefined}
          value={lateDeduction}
          onChange={setLateDeduction}
        />
        <Select
          label="Unit"
          data={["percent", "points"]}
          value={lateUnit}
          onChange={(unit) => setLateUnit(unit === "points" ? "points" : "percent")}
          allowDeselect={false}
        />
      </Group>
      <Switch
        label="Hold back correct answers"
        description="Students see them when they can no longer hand in"
        checked={answersLater}
        onChange={(event) => setAnswersLater(event.currentTarget.checked)}
      />
    </Ask>
  );
}
