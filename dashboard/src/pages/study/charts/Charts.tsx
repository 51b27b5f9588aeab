/** A study in charts: what each field does to a result. The lab computes the numbers; this page draws them. */

import "./charts.css";

import { Card, Group, MultiSelect, Select, Stack, Text } from "@mantine/core";
import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";

import { api, data as answer } from "../../../api/client";
import type { StudyEffectsRead, StudyRead } from "../../../api/schema";
import { Answer, Empty } from "../../../components/Feedback";
import { words } from "../../../format";
import { axesOf, type Axis, type Selection } from "./axes";
import { Effects } from "./Effects";
import { Importance } from "./Importance";
import { Parallel } from "./Parallel";
import { Scatter } from "./Scatter";
import { Trainings } from "./Trainings";

const MAX_MORE = 4;
const RESULT = "result:";

const effects = (id: string, experiment: string | undefined, result: string[]) =>
  queryOptions({
    queryKey: ["studies", id, "effects", experiment, result],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/v1/studies/{study_id}/effects", {
          params: { path: { study_id: id }, query: { experiment, result } },
          signal,
        }),
      ),
  });

export function Charts({ study }: { study: StudyRead }) {
  const { experiment, result, more = [], x, y } = useSearch({ from: "/inside/studies/$id" });
  const axes = [x, y].flatMap((key) => (key?.startsWith(RESULT) ? [key.slice(RESULT.length)] : []));
  const asked = result === undefined ? [] : [...new Set([result, ...more, ...axes])];
  const query = useQuery({ ...effects(study.id, experiment, asked), placeholderData: keepPreviousData });
  return <Answer query={query}>{(data) => <Drawn key={data.experiment} data={data} />}</Answer>;
}

function Drawn({ data }: { data: StudyEffectsRead }) {
  const search = useSearch({ from: "/inside/studies/$id" });
  const navigate = useNavigate({ from: "/studies/$id" });
  const [selection, select] = useState<Selection>({});
  const [marked, mark] = useState<number | null>(null);
  const axes = useMemo(() => axesOf(data), [data]);
  const main = data.results[0];
  if (main === undefined || data.fields.length === 0) {
    return (
      <Card>
        <Empty title={main === undefined ? "No results yet" : "Nothing differs"}>
          {main === undefined
            ? "The charts appear when the first run has a result."
            : "No field differs between the runs of this study, so there is nothing to compare."}
        </Empty>
      </Card>
    );
  }
  const choices = [
    ...data.fields.map(({ name }) => ({ value: `field:${name}`, label: words(name) })),
    ...data.known_results.map((name) => ({ value: RESULT + name, label: words(name) })),
  ];
  const fieldAxes = axes.filter((axis) => axis.levels !== null);
  const shown = [...fieldAxes, ...axes.filter((axis) => axis.key === RESULT + main || isMore(axis.key, search.more))];
  const color = axes.find((axis) => axis.key === RESULT + main);
  const find = (key: string | undefined) => axes.find((axis) => axis.key === key);
  const across = find(search.x) ?? axes.find((axis) => varies(axis) && axis !== color) ?? fieldAxes[0]!;
  // Without a choice, the lab chooses two results: they stay.
  const change = (part: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, result: main, x: across.key, ...part }), replace: true });
  const open = (run: number) => {
    const id = data.trainings[run]?.job_id;
    if (id) void navigate({ to: "/jobs/$id", params: { id } });
  };
  const linked = { runs: data.trainings, axes: shown, selection, select, marked, mark, open };
  return (
    <Stack gap="md">
      <Group gap="sm" align="flex-end">
        {data.experiments.length > 1 && (
          <Select
            label="Experiment"
            data={data.experiments}
            value={data.experiment}
            onChange={(slug) =>
              void navigate({ search: { tab: search.tab, experiment: slug ?? undefined }, replace: true })
            }
            allowDeselect={false}
          />
        )}
        <Select
          label="Result"
          data={data.known_results.map((name) => ({ value: name, label: words(name) }))}
          value={main}
          onChange={(name) => name !== null && change({ result: name })}
          allowDeselect={false}
          searchable
        />
        <MultiSelect
          label="More results"
          placeholder={search.more === undefined ? "None" : ""}
          data={data.known_results.filter((name) => name !== main).map((name) => ({ value: name, label: words(name) }))}
          value={search.more ?? []}
          onChange={(names) => change({ more: names.length === 0 ? undefined : names })}
          maxValues={MAX_MORE}
          searchable
          hidePickedOptions
        />
      </Group>
      {data.trainings.some((run) => run.why !== "") && (
        <Text size="sm" c="dimmed">
          {data.trainings.filter((run) => run.why !== "").length} of {data.trainings.length} runs failed. ✕ shows how
          many. No mean includes them.
        </Text>
      )}
      <Importance of={data.effects[0]!.importance} result={main} />
      <Effects data={data} marked={marked} mark={mark} />
      <Parallel {...linked} />
      <Scatter
        {...linked}
        x={across}
        y={find(search.y) ?? color!}
        color={color}
        choices={choices}
        choose={(name, key) => change({ [name]: key })}
      />
      <Trainings {...linked} />
    </Stack>
  );
}

/** A result that is not the same in all runs. */
function varies({ levels, low, high }: Axis): boolean {
  return levels === null && high > low;
}

function isMore(key: string, more: readonly string[] | undefined): boolean {
  return more?.some((name) => RESULT + name === key) === true;
}
