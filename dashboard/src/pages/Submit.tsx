/** A new job: the experiment's form, checked and judged by the lab as one types. */

import "./submit/submit.css";

import {
  Alert,
  Button,
  Card,
  NumberInput,
  Select,
  SimpleGrid,
  Stack,
  TagsInput,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { CircleAlert, Send } from "lucide-react";
import { useEffect, useState } from "react";

import { Refused } from "../api/client";
import { wholeOf } from "../api/exact";
import * as queries from "../api/queries";
import { dryRun, estimateOf, submit, type Order } from "../api/submitting";
import type { ExperimentDetail, JobRead } from "../api/schema";
import { Answer, Empty, Failure } from "../components/Feedback";
import { integer } from "../format";
import { Estimate } from "./submit/Estimate";
import { filled } from "./submit/schema";
import { SpecForm } from "./submit/SpecForm";

const GIB = 2 ** 30;

export function Submit() {
  const { experiment: chosen, from, change } = useSearch({ from: "/inside/submit" });
  const navigate = useNavigate({ from: "/submit" });
  const catalogue = useQuery(queries.experiments);
  const first = useQuery({ ...queries.job(from ?? ""), enabled: from !== undefined });
  const slug = chosen ?? first.data?.experiment;
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        {from === undefined ? "Submit a job" : "Run again with changes"}
      </Title>
      <Answer query={catalogue}>
        {({ items }) => (
          <Select
            label="Experiment"
            placeholder="Choose what to run"
            data={items.map((entry) => ({ value: entry.slug, label: `${entry.title} (${entry.slug})` }))}
            value={slug ?? null}
            onChange={(experiment) => void navigate({ search: { experiment: experiment ?? undefined }, replace: true })}
            searchable
            maw="36rem"
            description={items.find((entry) => entry.slug === slug)?.summary}
          />
        )}
      </Answer>
      {from !== undefined && first.data === undefined ? (
        <Answer query={first}>{() => null}</Answer>
      ) : slug === undefined ? (
        <Card>
          <Empty title="Choose an experiment">Its form appears here, filled with defaults that work.</Empty>
        </Card>
      ) : (
        <ForExperiment
          key={`${slug} ${from}`}
          slug={slug}
          again={first.data?.experiment === slug ? first.data : undefined}
          change={change}
        />
      )}
    </Stack>
  );
}

type Prefilled = { again: JobRead | undefined; change: Record<string, unknown> | undefined };

function ForExperiment({ slug, ...prefilled }: { slug: string } & Prefilled) {
  const query = useQuery(queries.experiment(slug));
  return <Answer query={query}>{(experiment) => <Order experiment={experiment} {...prefilled} />}</Answer>;
}

function Order({ experiment, again, change: edit }: { experiment: ExperimentDetail } & Prefilled) {
  const navigate = useNavigate();
  const [spec, setSpec] = useState<Record<string, unknown>>({ ...again?.spec, ...edit });
  const { data: me } = useQuery(queries.me);
  const [around, setAround] = useState<Omit<Order, "experiment" | "spec">>(again ? aroundOf(again) : {});
  const order: Order = { experiment: experiment.slug, spec: filled(spec), ...around };
  const [settled] = useDebouncedValue(order, 250);
  const check = useQuery({ ...dryRun(settled), placeholderData: keepPreviousData });
  const good = check.data?.errors.length === 0;
  const estimate = useQuery({ ...estimateOf(experiment.slug, settled.spec ?? {}), enabled: good && check.isSuccess });
  const send = useMutation({
    mutationFn: () => submit(order),
    onSuccess: (job) => navigate({ to: "/jobs/$id", params: { id: job.id } }),
  });
  const problems = check.data?.errors ?? [];
  const elsewhere = problems.filter((field) => !field.path.startsWith("spec."));
  const change = (name: keyof typeof around) => (entry: unknown) =>
    setAround((before) => ({ ...before, [name]: entry === "" || entry === null ? undefined : entry }));
  // An error that the reader has mended meanwhile is no news.
  const { reset } = send;
  useEffect(reset, [settled, reset]);
  return (
    <form
      className="submit"
      onSubmit={(event) => {
        event.preventDefault();
        send.mutate();
      }}
    >
      <Stack gap="md">
        <Card>
          <SpecForm experiment={experiment} spec={spec} change={setSpec} problems={problems} />
        </Card>
        <Card component="section" aria-labelledby="around">
          <Title order={2} size="h4" id="around" mb="sm">
            Around it
          </Title>
          <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
            <TextInput
              label="Name"
              description="For people"
              value={around.name ?? ""}
              onChange={(event) => change("name")(event.currentTarget.value)}
            />
            <NumberInput
              label="Seed"
              description="Of every random number"
              min={0}
              allowDecimal={false}
              value={around.seed ?? 0}
              onChange={(entry: unknown) => change("seed")(wholeOf(entry) ?? entry)}
            />
            <TagsInput
              label="Tags"
              description="To find it again"
              value={around.tags ?? []}
              onChange={change("tags")}
            />
            <Select
              label="Priority"
              description="Class in the queue"
              data={me === undefined || me.role === "student" ? ["normal", "low"] : ["high", "normal", "low"]}
              value={around.priority ?? "normal"}
              onChange={change("priority")}
              allowDeselect={false}
            />
            <NumberInput
              label="Time limit (s)"
              description={`Usually ${integer(experiment.default_time_limit_seconds)}`}
              min={1}
              allowDecimal={false}
              value={around.time_limit_seconds ?? ""}
              onChange={change("time_limit_seconds")}
            />
            {experiment.gpu !== "none" && (
              <NumberInput
                label="GPU memory (GiB)"
                description="Empty: as predicted, or all"
                min={0}
                value={around.gpu_memory_bytes ? around.gpu_memory_bytes / GIB : ""}
                onChange={(entry) => change("gpu_memory_bytes")(entry === "" ? "" : Math.round(Number(entry) * GIB))}
              />
            )}
          </SimpleGrid>
        </Card>
      </Stack>
      <Stack gap="md" className="beside">
        <Estimate
          estimate={estimate.data}
          stale={estimate.isPlaceholderData}
          error={good ? estimate.error : check.isSuccess ? MEND_FIRST : null}
          apply={(changes) => setSpec({ ...spec, ...changes })}
        />
        <div aria-live="polite">
          {problems.length > 0 && (
            <Alert
              color="red"
              variant="light"
              icon={<CircleAlert aria-hidden />}
              title={problems.length === 1 ? "One thing to mend" : `${problems.length} things to mend`}
            >
              <Text size="sm" className="break">
                {(elsewhere[0] ?? problems[0])!.path}: {(elsewhere[0] ?? problems[0])!.message}
              </Text>
            </Alert>
          )}
          {check.error !== null && <Failure error={check.error} again={() => void check.refetch()} />}
          {send.error !== null && (!(send.error instanceof Refused) || problems.length === 0) && (
            <Failure error={send.error} />
          )}
        </div>
        <Button
          type="submit"
          size="md"
          leftSection={<Send size={18} aria-hidden />}
          loading={send.isPending}
          disabled={problems.length > 0}
        >
          Submit
        </Button>
      </Stack>
    </form>
  );
}

const MEND_FIRST = new Error("The memory is predicted once the form is right.");

function aroundOf(job: JobRead): Omit<Order, "experiment" | "spec"> {
  return {
    name: job.name ?? undefined,
    seed: job.seed,
    tags: job.tags,
    priority: job.priority,
    time_limit_seconds: job.time_limit_seconds,
    gpu_memory_bytes: job.gpu_memory_bytes ?? undefined,
  };
}
