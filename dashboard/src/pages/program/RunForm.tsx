/** Runs a program: a command or a notebook, with parameters, data sets and the options of a job. */

import { ActionIcon, Button, Card, Group, Stack, TagsInput, Text, TextInput, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Play, Plus, Trash2 } from "lucide-react";
import { useState } from "react";

import { invalidText } from "../../api/invalid";
import * as queries from "../../api/queries";
import type { JobRead, ProgramRead } from "../../api/schema";
import { dryRun, submit, type Order } from "../../api/submitting";
import { Failure } from "../../components/Feedback";
import { Options, optionsOf, type JobOptions } from "../submit/Options";
import { likelyStart, lineOf, parametersOf, rowsOf, wordsOf, type Parameter, type Start } from "./command";
import { ProgramMemory } from "./ProgramMemory";
import { WhatToRun } from "./WhatToRun";

interface RunFormProps {
  program: ProgramRead;
  /** The run to repeat. */
  again: JobRead | undefined;
}

interface Choice extends Start {
  rows: Parameter[];
  datasets: string[];
  options: JobOptions;
}

/** Each check may start the program on a worker to predict its memory. */
const PAUSE_MILLISECONDS = 600;

function first(program: ProgramRead, again: JobRead | undefined): Choice {
  const start = likelyStart(program.files.map((file) => file.path));
  const spec = again?.spec ?? {};
  const notebook = typeof spec["notebook"] === "string" ? spec["notebook"] : start.notebook;
  const words = [
    ...((spec["command"] as string[] | undefined) ?? []),
    ...((spec["arguments"] as string[] | undefined) ?? []),
  ];
  return {
    notebook: again?.experiment === "script" ? null : notebook,
    command: words.length > 0 ? lineOf(words) : start.command,
    rows: rowsOf(spec["parameters"]),
    datasets: (spec["datasets"] as string[] | undefined) ?? [],
    options: again ? optionsOf(again) : { name: program.upload?.name ?? undefined },
  };
}

function orderOf(program: ProgramRead, choice: Choice): Order {
  const { notebook, command, rows, datasets, options } = choice;
  const common = { program: program.sha256, parameters: parametersOf(rows), datasets };
  return notebook === null
    ? { experiment: "script", spec: { ...common, command: wordsOf(command) }, ...options }
    : { experiment: "notebook", spec: { ...common, notebook }, ...options };
}

export function RunForm({ program, again }: RunFormProps) {
  const navigate = useNavigate();
  const [choice, setChoice] = useState(() => first(program, again));
  const set = (change: Partial<Choice>) => setChoice((before) => ({ ...before, ...change }));
  const order = orderOf(program, choice);
  const [settled] = useDebouncedValue(order, PAUSE_MILLISECONDS);
  const { data: experiment } = useQuery(queries.experiment(order.experiment));
  const check = useQuery({ ...dryRun(settled), placeholderData: keepPreviousData });
  const problem = check.data?.errors[0];
  const send = useMutation({
    mutationFn: () => submit(order),
    onSuccess: (job) => navigate({ to: "/jobs/$id", params: { id: job.id } }),
  });
  return (
    <>
      <Card component="section" aria-labelledby="run">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            send.mutate();
          }}
        >
          <Stack gap="sm">
            <Title order={2} size="h4" id="run">
              Run
            </Title>
            <WhatToRun program={program} start={choice} change={set} />
            <Parameters rows={choice.rows} change={(rows) => set({ rows })} notebook={choice.notebook !== null} />
            <Datasets chosen={choice.datasets} change={(datasets) => set({ datasets })} />
            {experiment && (
              <Options experiment={experiment} options={choice.options} change={(options) => set({ options })} />
            )}
            {problem && (
              <Text size="sm" c="red" className="break" role="alert">
                {invalidText(problem)}
              </Text>
            )}
            {check.error !== null && <Failure error={check.error} again={() => void check.refetch()} />}
            {send.error !== null && problem === undefined && <Failure error={send.error} />}
            <Button
              type="submit"
              leftSection={<Play size={17} aria-hidden />}
              loading={send.isPending}
              disabled={problem !== undefined}
            >
              Run
            </Button>
          </Stack>
        </form>
      </Card>
      <ProgramMemory order={settled} checked={check.data} />
    </>
  );
}

interface ParametersProps {
  rows: Parameter[];
  change: (rows: Parameter[]) => void;
  notebook: boolean;
}

function Parameters({ rows, change, notebook }: ParametersProps) {
  const set = (at: number, row: Partial<Parameter>) =>
    change(rows.map((before, i) => (i === at ? { ...before, ...row } : before)));
  return (
    <div role="group" aria-label="Parameters">
      <Text size="sm" fw={600}>
        Parameters
      </Text>
      <Text size="xs" c="dimmed" mb={6}>
        {notebook ? "Variables that the notebook starts with" : "Added to the command as --name value"}
      </Text>
      <Stack gap={6}>
        {rows.map((row, i) => (
          <Group key={i} gap={6} wrap="nowrap">
            <TextInput
              aria-label={`Name of parameter ${i + 1}`}
              placeholder="lr"
              value={row.name}
              onChange={(event) => set(i, { name: event.currentTarget.value })}
              flex={1}
            />
            <TextInput
              aria-label={`Value of parameter ${i + 1}`}
              placeholder="0.1"
              value={row.text}
              onChange={(event) => set(i, { text: event.currentTarget.value })}
              flex={1}
            />
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={`Remove parameter ${i + 1}`}
              onClick={() => change(rows.filter((_, at) => at !== i))}
            >
              <Trash2 size={16} aria-hidden />
            </ActionIcon>
          </Group>
        ))}
        <Button
          size="xs"
          variant="default"
          style={{ alignSelf: "flex-start" }}
          leftSection={<Plus size={14} aria-hidden />}
          onClick={() => change([...rows, { name: "", text: "" }])}
        >
          Add parameter
        </Button>
      </Stack>
    </div>
  );
}

function Datasets({ chosen, change }: { chosen: string[]; change: (names: string[]) => void }) {
  const { data } = useQuery(queries.nodes);
  const known = [...new Set((data?.items ?? []).flatMap((node) => node.datasets))].sort();
  return (
    <TagsInput
      label="Data sets"
      description="Read-only in /data"
      data={known}
      value={chosen}
      onChange={change}
      placeholder={chosen.length === 0 ? "None" : ""}
    />
  );
}
