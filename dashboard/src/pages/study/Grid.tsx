/** A study from a grid: fields with values to combine, and a preview of the runs and their memory. */

import "../submit/submit.css";

import {
  ActionIcon,
  Button,
  Card,
  Checkbox,
  MultiSelect,
  NumberInput,
  Select,
  Stack,
  TagsInput,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Plus, Send, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";

import { api, data } from "../../api/client";
import { readJson, writeJson } from "../../api/exact";
import * as queries from "../../api/queries";
import type { ExperimentDetail, InvalidField, StudyCreate } from "../../api/schema";
import { Answer, Empty, Failure } from "../../components/Feedback";
import { counted, words } from "../../format";
import { CourseChoice } from "../course/CourseChoice";
import { useChoices } from "../course/courses";
import { fieldOf, filled, propertiesOf } from "../submit/schema";
import { SpecForm } from "../submit/SpecForm";
import { asTyped, choicesOf, combinations, gridOf, type Axis, type Spec } from "./combining";
import { Runs } from "./Runs";

const MAX_SEEDS = 200;
const NO_PROBLEMS: InvalidField[] = [];

export function Grid() {
  const { experiment: slug } = useSearch({ from: "/inside/studies/new" });
  const navigate = useNavigate({ from: "/studies/new" });
  const catalogue = useQuery(queries.experiments);
  const query = useQuery({ ...queries.experiment(slug ?? ""), enabled: slug !== undefined });
  return (
    <Stack gap="md">
      <Answer query={catalogue}>
        {({ items }) => (
          <Select
            label="Experiment"
            placeholder="Choose an experiment"
            data={items.map((entry) => ({ value: entry.slug, label: `${entry.title} (${entry.slug})` }))}
            value={slug ?? null}
            onChange={(experiment) =>
              void navigate({ search: (before) => ({ ...before, experiment: experiment ?? undefined }), replace: true })
            }
            searchable
            maw="36rem"
            description={items.find((entry) => entry.slug === slug)?.summary}
          />
        )}
      </Answer>
      {slug === undefined ? (
        <Card>
          <Empty title="Choose an experiment">
            Then choose the fields that vary and their values. Every combination runs once per seed.
          </Empty>
        </Card>
      ) : (
        <Answer query={query}>{(experiment) => <GridForm key={slug} experiment={experiment} />}</Answer>
      )}
    </Stack>
  );
}

function GridForm({ experiment }: { experiment: ExperimentDetail }) {
  const navigate = useNavigate();
  const schema = experiment.spec_schema;
  const [axes, setAxes] = useState<Axis[]>([{ name: "", values: [] }]);
  const [base, setBase] = useState<Spec>({});
  const [seeds, setSeeds] = useState<number | string>(1);
  const [name, setName] = useState("");
  const [fresh, setFresh] = useState(false);
  const [course, setCourse] = useState<string>();
  const courses = useChoices({ taught: false });
  const taken = useMemo(() => axes.map((axis) => axis.name), [axes]);
  const grid = gridOf(schema, axes);
  const shared = filled(Object.fromEntries(Object.entries(base).filter(([field]) => !taken.includes(field))));
  const cells = combinations(grid);
  const [settled] = useDebouncedValue(writeJson(cells.map((cell) => ({ ...shared, ...cell }))), 300);
  const specs = useMemo(() => readJson(settled) as Spec[], [settled]);
  const count = Number(seeds) || 1;
  const [problem, setProblem] = useState<InvalidField | null>(null);
  const send = useMutation({
    mutationFn: () => {
      const order = {
        experiment: experiment.slug,
        base: shared,
        grid,
        seeds: Array.from({ length: count }, (_, seed) => seed),
        fresh,
        name: name.trim() || null,
        course_id: course,
      };
      return data(api.POST("/v1/studies", { body: order as StudyCreate }));
    },
    onSuccess: (study) => navigate({ to: "/studies/$id", params: { id: study.id } }),
  });
  return (
    <form
      className="submit"
      onSubmit={(event) => {
        event.preventDefault();
        send.mutate();
      }}
    >
      <Stack gap="md">
        <Axes schema={schema} axes={axes} change={setAxes} />
        <Card component="section" aria-labelledby="shared">
          <Title order={2} size="h4" id="shared" mb="sm">
            Same in every run
          </Title>
          <SpecForm
            experiment={experiment}
            spec={base}
            change={setBase}
            problems={problem === null ? NO_PROBLEMS : [problem]}
            without={taken}
          />
        </Card>
      </Stack>
      <div className="beside">
        <Card>
          <Stack gap="sm">
            <NumberInput
              label="Seeds"
              description="Runs per combination, with seeds 0, 1, 2, …"
              min={1}
              max={MAX_SEEDS}
              allowDecimal={false}
              value={seeds}
              onChange={setSeeds}
            />
            <CourseChoice courses={courses} chosen={course} choose={setCourse} />
            <TextInput
              label="Name"
              description="Optional; a name you will recognise"
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
            />
            <Checkbox
              label="Do not reuse finished runs"
              checked={fresh}
              onChange={(event) => setFresh(event.currentTarget.checked)}
            />
          </Stack>
        </Card>
        <Runs experiment={experiment} grid={grid} specs={specs} seeds={count} onProblem={setProblem} />
        {send.error !== null && <Failure error={send.error} />}
        <Button
          type="submit"
          size="md"
          leftSection={<Send size={18} aria-hidden />}
          loading={send.isPending}
          disabled={problem !== null || Object.keys(grid).length === 0}
        >
          Start {counted(cells.length * count, "run")}
        </Button>
      </div>
    </form>
  );
}

interface AxesProps {
  schema: Record<string, unknown>;
  axes: Axis[];
  change: (axes: Axis[]) => void;
}

function Axes({ schema, axes, change }: AxesProps) {
  const fields = Object.keys(propertiesOf(schema));
  const set = (place: number, axis: Axis) => change(axes.map((before, i) => (i === place ? axis : before)));
  return (
    <Card component="section" aria-labelledby="axes">
      <Title order={2} size="h4" id="axes">
        Fields that vary
      </Title>
      <Text size="sm" c="dimmed" mb="sm">
        The study runs every combination of these values. Press Enter or comma after each value.
      </Text>
      <Stack gap="sm">
        {axes.map((axis, place) => (
          <div key={place} className="axis" role="group" aria-label={`Field ${place + 1}`}>
            <Select
              label="Field"
              placeholder="Choose one"
              data={fields
                .filter((field) => field === axis.name || !axes.some((other) => other.name === field))
                .map((field) => ({ value: field, label: words(field) }))}
              value={axis.name || null}
              onChange={(name) => set(place, { name: name ?? "", values: [] })}
              searchable
            />
            <Values schema={schema} axis={axis} change={(values) => set(place, { ...axis, values })} />
            <ActionIcon
              variant="subtle"
              color="gray"
              size="lg"
              aria-label={`Remove ${axis.name === "" ? "this field" : words(axis.name).toLowerCase()}`}
              disabled={axes.length === 1 && axis.name === ""}
              onClick={() =>
                change(axes.length === 1 ? [{ name: "", values: [] }] : axes.filter((_, i) => i !== place))
              }
            >
              <Trash2 size={18} aria-hidden />
            </ActionIcon>
          </div>
        ))}
        <Button
          size="xs"
          variant="default"
          style={{ alignSelf: "flex-start" }}
          leftSection={<Plus size={15} aria-hidden />}
          onClick={() => change([...axes, { name: "", values: [] }])}
        >
          Add field
        </Button>
      </Stack>
    </Card>
  );
}

function Values({
  schema,
  axis,
  change,
}: {
  schema: Record<string, unknown>;
  axis: Axis;
  change: (values: string[]) => void;
}) {
  const field = fieldOf(schema, axis.name);
  const choices = choicesOf(field);
  const common = {
    label: "Values",
    value: axis.values,
    onChange: change,
    disabled: axis.name === "",
    className: "values",
  };
  if (choices !== null)
    return (
      <MultiSelect
        {...common}
        data={choices}
        placeholder={axis.values.length === 0 ? "Choose values" : ""}
        hidePickedOptions
      />
    );
  const preset = field.default === undefined || field.default === null ? "" : `e.g. ${asTyped(field.default)}`;
  return (
    <TagsInput
      {...common}
      placeholder={axis.values.length === 0 ? preset : ""}
      splitChars={[",", ";"]}
      acceptValueOnBlur
    />
  );
}
