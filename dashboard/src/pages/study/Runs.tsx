/** The runs of a grid: how many, and the predicted memory of each combination. */

import { Card, Loader, Stack, Table, Text, Title } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { CircleX } from "lucide-react";
import { useEffect, useState } from "react";

import { invalidText } from "../../api/invalid";
import { dryRun, estimateOf } from "../../api/submitting";
import type { EstimateRead, ExperimentDetail, InvalidField } from "../../api/schema";
import { FIT, State } from "../../components/State";
import { bytes, counted, integer, value, words } from "../../format";
import type { Spec } from "./combining";

/** Combinations that are checked and predicted; the rest of a larger grid is alike. */
const MAX_CHECKED = 24;
/** Requests in flight; a browser opens few connections to one host. */
const BATCH_SIZE = 2;

interface RunsProps {
  experiment: ExperimentDetail;
  grid: Record<string, unknown[]>;
  specs: Spec[];
  seeds: number;
  /** The first invalid field of any combination, or null. */
  onProblem: (problem: InvalidField | null) => void;
}

export function Runs({ experiment, grid, specs, seeds, onProblem }: RunsProps) {
  const looked = specs.slice(0, MAX_CHECKED);
  const checks = useQueries({ queries: looked.map((spec) => dryRun({ experiment: experiment.slug, spec })) });
  const problem = checks.flatMap((check) => check.data?.errors ?? [])[0] ?? null;
  const good = checks.every((check) => check.data?.errors.length === 0);
  const [asked, ask] = useState(BATCH_SIZE);
  const estimates = useQueries({
    queries: looked.map((spec, i) => ({
      ...estimateOf(experiment.slug, spec),
      enabled: good && i < asked,
      placeholderData: undefined,
    })),
  });
  const answered = estimates.filter((one) => one.isFetched).length;
  const first = problem === null ? null : JSON.stringify(problem);
  useEffect(() => ask(answered + BATCH_SIZE), [answered]);
  useEffect(() => onProblem(first === null ? null : (JSON.parse(first) as InvalidField)), [first, onProblem]);
  const parts = Object.entries(grid).map(([name, values]) => `${values.length} of ${words(name).toLowerCase()}`);
  return (
    <Card component="section" aria-labelledby="runs">
      <Title order={2} size="h4" id="runs" mb="xs">
        Runs
      </Title>
      <Stack gap="sm" aria-live="polite">
        <div>
          <Text fz="1.5rem" fw={650} lh={1.2} className="numbers">
            {integer(specs.length * seeds)}
          </Text>
          <Text size="xs" c="dimmed">
            {parts.length === 0 ? "no field varies yet" : parts.join(" × ")}
            {` × ${counted(seeds, "seed")}`}
          </Text>
        </div>
        {problem !== null ? (
          <Text size="sm" className="break">
            <CircleX size={14} aria-hidden /> {invalidText(problem)}
          </Text>
        ) : (
          parts.length > 0 && (
            <Estimates specs={looked} fields={Object.keys(grid)} estimates={estimates.map((one) => one.data)} />
          )
        )}
        {specs.length > MAX_CHECKED && (
          <Text size="xs" c="dimmed">
            Only the first {MAX_CHECKED} combinations were checked.
          </Text>
        )}
      </Stack>
    </Card>
  );
}

function Estimates({
  specs,
  fields,
  estimates,
}: {
  specs: Spec[];
  fields: string[];
  estimates: (EstimateRead | undefined)[];
}) {
  const first = estimates[0];
  if (first !== undefined && first.peak_device_bytes === null && first.state !== "pending") {
    return (
      <Text size="sm" c="dimmed">
        {first.reason ?? "This experiment has no memory prediction."}
      </Text>
    );
  }
  return (
    <Table.ScrollContainer minWidth={200} maxHeight="50vh">
      <Table verticalSpacing={4} horizontalSpacing={6} fz="0.8rem" stickyHeader>
        <Table.Thead>
          <Table.Tr>
            {fields.map((name) => (
              <Table.Th key={name}>{words(name)}</Table.Th>
            ))}
            <Table.Th>Likely peak</Table.Th>
            <Table.Th>Verdict</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {specs.map((spec, i) => (
            <Table.Tr key={i}>
              {fields.map((name) => (
                <Table.Td key={name} className="numbers">
                  {value(spec[name])}
                </Table.Td>
              ))}
              <Table.Td className="numbers" style={{ whiteSpace: "nowrap" }}>
                {estimates[i]?.peak_device_bytes ? (
                  bytes(estimates[i].peak_device_bytes.likely_bytes)
                ) : estimates[i] === undefined ? (
                  <Loader type="dots" size="xs" aria-label="Predicting" />
                ) : (
                  "–"
                )}
              </Table.Td>
              <Table.Td>
                <Fits estimate={estimates[i]} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** Whether it fits on any GPU of the lab. */
function Fits({ estimate }: { estimate: EstimateRead | undefined }) {
  const verdicts = estimate?.gpus.map((gpu) => gpu.verdict) ?? [];
  if (verdicts.length === 0) return null;
  const best = (Object.keys(FIT) as (keyof typeof FIT)[]).find((verdict) => verdicts.includes(verdict));
  return <State look={FIT[best ?? "not_predicted"]} size="sm" />;
}
