/** A new job: the experiment's form. The lab checks it and predicts its memory while the user types. */

import "./submit/submit.css";

import {
  Alert,
  Button,
  Card,
  Collapse,
  Divider,
  Group,
  Select,
  Stack,
  Text,
  Title,
  UnstyledButton,
} from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import { keepPreviousData, useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ChevronDown, ChevronRight, CircleAlert, Send } from "lucide-react";
import { useEffect, useMemo, useState } from "react";

import { Refused } from "../api/client";
import { writeJson } from "../api/exact";
import { invalidText } from "../api/invalid";
import * as queries from "../api/queries";
import type { ExperimentDetail, InvalidField, JobRead } from "../api/schema";
import { dryRun, estimateOf, submit, type Order } from "../api/submitting";
import { Answer, Empty, Failure } from "../components/Feedback";
import { AnchorLink } from "../components/Links";
import { counted } from "../format";
import { CourseChoice } from "./course/CourseChoice";
import { useChoices } from "./course/courses";
import { Hero } from "./memory/Hero";
import { foldedOf } from "./submit/basics";
import { Catalogue } from "./submit/Catalogue";
import { Estimate } from "./submit/Estimate";
import { Options, optionsOf, type JobOptions } from "./submit/Options";
import { fieldOf, filled, isBulky, propertiesOf } from "./submit/schema";
import { SpecForm } from "./submit/SpecForm";
import { CORRECT_FIRST, verdictOf, type Verdict } from "./submit/verdict";

type Spec = Record<string, unknown>;

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
        {({ items }) =>
          slug !== undefined && (
            <Select
              label="Experiment"
              placeholder="Choose an experiment"
              data={items.map((entry) => ({ value: entry.slug, label: `${entry.title} (${entry.slug})` }))}
              value={slug}
              onChange={(experiment) =>
                void navigate({ search: { experiment: experiment ?? undefined }, replace: true })
              }
              searchable
              maw="36rem"
              description={items.find((entry) => entry.slug === slug)?.summary}
            />
          )
        }
      </Answer>
      {from !== undefined && first.data === undefined ? (
        <Answer query={first}>{() => null}</Answer>
      ) : slug === undefined ? (
        catalogue.data && <Catalogue experiments={catalogue.data.items} />
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

type Prefilled = { again: JobRead | undefined; change: Spec | undefined };

function ForExperiment({ slug, ...prefilled }: { slug: string } & Prefilled) {
  const query = useQuery(queries.experiment(slug));
  return (
    <Answer query={query}>
      {(experiment) =>
        prefilled.again === undefined && "program" in propertiesOf(experiment.spec_schema) ? (
          <Card>
            <Empty title="Upload your code first">
              <AnchorLink to="/programs" size="sm" underline="always">
                Your code
              </AnchorLink>{" "}
              runs a script or a notebook that you upload.
            </Empty>
          </Card>
        ) : (
          <OrderForm experiment={experiment} {...prefilled} />
        )
      }
    </Answer>
  );
}

function OrderForm({ experiment, again, change }: { experiment: ExperimentDetail } & Prefilled) {
  const navigate = useNavigate();
  const [spec, setSpec] = useState<Spec>({ ...again?.spec, ...change });
  const [options, setOptions] = useState<JobOptions>(again ? optionsOf(again) : {});
  const courses = useChoices({ taught: false });
  const course = courses.find((one) => one.id === options.course_id)?.id;
  const order: Order = { experiment: experiment.slug, spec: filled(spec), ...options, course_id: course };
  const [settled] = useDebouncedValue(order, 250);
  const check = useQuery({ ...dryRun(settled), placeholderData: keepPreviousData });
  const valid = check.data?.errors.length === 0;
  const estimate = useQuery({
    ...estimateOf(experiment.slug, settled.spec ?? {}),
    enabled: valid && check.isSuccess,
  });
  const send = useMutation({
    mutationFn: () => submit(order),
    onSuccess: (job) => navigate({ to: "/jobs/$id", params: { id: job.id } }),
  });
  const problems = check.data?.errors ?? [];
  // The error of an earlier attempt goes away with the next change.
  const { reset } = send;
  useEffect(reset, [settled, reset]);
  const batchSize = settled.spec?.["batch_size"] ?? fieldOf(experiment.spec_schema, "batch_size").default;
  const verdict = valid ? verdictOf(estimate.data, batchSize) : null;
  return (
    <form
      className="submit"
      onSubmit={(event) => {
        event.preventDefault();
        send.mutate();
      }}
    >
      <Stack gap="md">
        <SpecCard
          experiment={experiment}
          spec={spec}
          change={(part) => setSpec((before) => ({ ...before, ...part }))}
          problems={problems}
          kept={again?.spec}
        />
        <Hero
          experiment={experiment}
          spec={settled.spec ?? {}}
          valid={valid}
          use={(part, clear) => (
            <Button
              onClick={() => {
                setSpec((before) => ({ ...before, ...part }));
                clear();
              }}
            >
              Use these values
            </Button>
          )}
        />
        <Card component="section" aria-labelledby="options">
          <Title order={2} size="h4" id="options" mb="sm">
            Job options
          </Title>
          <Stack gap="md">
            <Options experiment={experiment} options={options} change={setOptions} />
            <CourseChoice
              courses={courses}
              chosen={course}
              choose={(course_id) => setOptions((before) => ({ ...before, course_id }))}
            />
          </Stack>
        </Card>
      </Stack>
      <div className="beside">
        <Card className="decision" component="section" aria-label="Submit">
          <Stack gap="xs">
            <div aria-live="polite">
              {problems.length > 0 ? (
                <Problems problems={problems} />
              ) : (
                <VerdictLine verdict={verdict} stale={estimate.isPlaceholderData} />
              )}
            </div>
            {check.error !== null && <Failure error={check.error} again={() => void check.refetch()} />}
            {send.error !== null && (!(send.error instanceof Refused) || problems.length === 0) && (
              <Failure error={send.error} />
            )}
            <Button
              type="submit"
              size="md"
              color={verdict?.fits === false ? "orange" : undefined}
              leftSection={<Send size={18} aria-hidden />}
              loading={send.isPending}
              disabled={problems.length > 0}
            >
              {verdict?.fits === false ? "Submit anyway" : "Submit"}
            </Button>
          </Stack>
        </Card>
        <Estimate
          estimate={estimate.data}
          stale={estimate.isPlaceholderData}
          error={valid ? estimate.error : check.isSuccess ? CORRECT_FIRST : null}
          apply={(edit) => setSpec({ ...spec, ...edit })}
        />
      </div>
    </form>
  );
}

function Problems({ problems }: { problems: readonly InvalidField[] }) {
  // Those of the spec are shown at their fields too.
  const first = problems.find((field) => !field.path.startsWith("spec.")) ?? problems[0]!;
  return (
    <Alert
      color="red"
      variant="light"
      icon={<CircleAlert aria-hidden />}
      title={problems.length === 1 ? "1 field to correct" : `${problems.length} fields to correct`}
    >
      <Text size="sm" className="break">
        {invalidText(first)}
      </Text>
    </Alert>
  );
}

function VerdictLine({ verdict, stale }: { verdict: Verdict | null; stale: boolean }) {
  if (verdict === null) return null;
  const { color, icon: Icon } = verdict.look;
  return (
    <Group gap={8} wrap="nowrap" align="flex-start" style={stale ? { filter: "grayscale(1)" } : undefined}>
      <Icon size={18} aria-hidden color={`var(--mantine-color-${color}-light-color)`} style={{ flex: "none" }} />
      <Text size="sm" fw={600} lh={1.3} className="numbers">
        {verdict.text}
      </Text>
    </Group>
  );
}

interface SpecCardProps {
  experiment: ExperimentDetail;
  spec: Spec;
  change: (part: Spec) => void;
  problems: readonly InvalidField[];
  /** The spec of the run to repeat: its fields are not folded. */
  kept: Spec | undefined;
}

function SpecCard({ experiment, spec, change, problems, kept }: SpecCardProps) {
  const schema = experiment.spec_schema;
  const fields = useMemo(() => Object.keys(propertiesOf(schema)), [schema]);
  const invalid = problems.map((field) => field.path.split(".")[1] ?? "").join();
  const folded = useMemo(() => {
    const bulky = new Set(fields.filter((name) => isBulky(fieldOf(schema, name))));
    return foldedOf(fields, neededOf(schema, kept, invalid), bulky);
  }, [fields, schema, kept, invalid]);
  const basic = useMemo(() => fields.filter((field) => !folded.includes(field)), [fields, folded]);
  const [opened, { toggle }] = useDisclosure();
  // Each of the two forms is given the whole spec, and answers for its own fields.
  const form = (shown: readonly string[]) => ({
    experiment,
    spec,
    problems,
    change: (whole: Spec) => change(Object.fromEntries(shown.map((field) => [field, whole[field]]))),
  });
  return (
    <Card>
      <SpecForm {...form(basic)} without={folded} />
      {folded.length > 0 && (
        <>
          <Divider my="sm" />
          <UnstyledButton onClick={toggle} aria-expanded={opened} className="fold">
            {opened ? <ChevronDown size={16} aria-hidden /> : <ChevronRight size={16} aria-hidden />}
            {opened ? "Fewer settings" : counted(folded.length, "more setting")}
          </UnstyledButton>
          <Collapse expanded={opened} mt="sm">
            {opened && <SpecForm {...form(folded)} without={basic} />}
          </Collapse>
        </>
      )}
    </Card>
  );
}

/** Fields that must be seen: invalid ones, and those of the run to repeat that differ from the default. */
function neededOf(schema: Spec, kept: Spec | undefined, invalid: string): ReadonlySet<string> {
  const changed = Object.entries(kept ?? {}).filter(([name, entry]) => {
    const preset: unknown = fieldOf(schema, name).default;
    return entry !== null && writeJson(entry) !== writeJson(preset);
  });
  return new Set([...changed.map(([name]) => name), ...invalid.split(",")]);
}
