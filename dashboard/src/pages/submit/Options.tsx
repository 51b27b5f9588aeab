/** What a job has besides its spec: name, seed, queue and limits. */

import { Collapse, NumberInput, Select, SimpleGrid, Stack, TagsInput, TextInput, UnstyledButton } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { ChevronDown, ChevronRight } from "lucide-react";

import { wholeOf } from "../../api/exact";
import * as queries from "../../api/queries";
import type { ExperimentDetail, JobRead } from "../../api/schema";
import type { Order } from "../../api/submitting";
import { integer } from "../../format";

const GIB = 2 ** 30;

export type JobOptions = Omit<Order, "experiment" | "spec">;

interface OptionsProps {
  experiment: Pick<ExperimentDetail, "gpu" | "default_time_limit_seconds">;
  options: JobOptions;
  change: (options: JobOptions) => void;
}

/** The name, and the rest behind a fold: it is open where something of it differs from the default. */
export function Options({ experiment, options, change }: OptionsProps) {
  const [opened, { toggle }] = useDisclosure(isChanged(experiment, options));
  return (
    <Stack gap="sm">
      <TextInput
        label="Name"
        description="A name you will recognise"
        value={options.name ?? ""}
        onChange={(event) => change({ ...options, name: event.currentTarget.value || undefined })}
      />
      <div>
        <UnstyledButton onClick={toggle} aria-expanded={opened} className="fold">
          {opened ? <ChevronDown size={16} aria-hidden /> : <ChevronRight size={16} aria-hidden />}
          {opened ? "Fewer options" : "Seed, tags, priority and limits"}
        </UnstyledButton>
        <Collapse expanded={opened} mt="xs">
          {opened && <More experiment={experiment} options={options} change={change} />}
        </Collapse>
      </div>
    </Stack>
  );
}

function isChanged(experiment: OptionsProps["experiment"], options: JobOptions): boolean {
  const { seed, tags, priority, time_limit_seconds, gpu_memory_bytes } = options;
  return (
    (seed ?? 0) !== 0 ||
    (tags ?? []).length > 0 ||
    (priority ?? "normal") !== "normal" ||
    (time_limit_seconds ?? experiment.default_time_limit_seconds) !== experiment.default_time_limit_seconds ||
    (gpu_memory_bytes ?? null) !== null
  );
}

function More({ experiment, options, change }: OptionsProps) {
  const { data: me } = useQuery(queries.me);
  const set = (name: keyof JobOptions) => (entry: unknown) =>
    change({ ...options, [name]: entry === "" || entry === null ? undefined : entry });
  return (
    <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
      <NumberInput
        label="Seed"
        description="Random seed"
        min={0}
        allowDecimal={false}
        value={options.seed ?? 0}
        onChange={(entry: unknown) => set("seed")(wholeOf(entry) ?? entry)}
      />
      <TagsInput label="Tags" description="To filter jobs" value={options.tags ?? []} onChange={set("tags")} />
      <Select
        label="Priority"
        description="Priority in the queue"
        data={me === undefined || !me.teaches ? ["normal", "low"] : ["high", "normal", "low"]}
        value={options.priority ?? "normal"}
        onChange={set("priority")}
        allowDeselect={false}
      />
      <NumberInput
        label="Time limit (s)"
        description={`Default: ${integer(experiment.default_time_limit_seconds)}`}
        min={1}
        allowDecimal={false}
        value={options.time_limit_seconds ?? ""}
        onChange={set("time_limit_seconds")}
      />
      {experiment.gpu !== "none" && (
        <NumberInput
          label="GPU memory (GiB)"
          description="Empty: the prediction, or a whole GPU"
          min={0}
          value={options.gpu_memory_bytes ? options.gpu_memory_bytes / GIB : ""}
          onChange={(entry) => set("gpu_memory_bytes")(entry === "" ? "" : Math.round(Number(entry) * GIB))}
        />
      )}
    </SimpleGrid>
  );
}

export function optionsOf(job: JobRead): JobOptions {
  return {
    name: job.name ?? undefined,
    seed: job.seed,
    tags: job.tags,
    priority: job.priority,
    time_limit_seconds: job.time_limit_seconds,
    gpu_memory_bytes: job.gpu_memory_bytes ?? undefined,
    course_id: job.course_id ?? undefined,
  };
}
