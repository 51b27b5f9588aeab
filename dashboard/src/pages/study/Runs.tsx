/** What a grid comes to: how many runs, and the memory that each combination is predicted to need. */

import { Badge, Card, Group, Loader, Stack, Table, Text, Title } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { CircleCheck, CircleX, Scissors } from "lucide-react";
import { useEffect, useState } from "react";

import { dryRun, estimateOf } from "../../api/submitting";
import type { EstimateRead, ExperimentDetail, InvalidField } from "../../api/schema";
import { bytes, counted, integer, value, words } from "../../format";
import type { Spec } from "./combining";

/** So many combinations are asked about; a larger grid is of the same kind. */
const LOOKED_AT = 24;
/** Held requests at once; a browser has few connections to one host. */
const AT_ONCE = 2;

interface RunsProps {
  experiment: ExperimentDetail;
  grid: Record<string, unknown[]>;
  specs: Spec[];
  seeds: number;
  /** The first thing that is wrong with a combination; null when nothing is. */
  onProblem: (problem: InvalidField | null) => void;
}

export function Runs({ experiment, grid, specs, seeds, onProblem }: RunsProps) {
  const looked = specs.slice(0, LOOKED_AT);
  const checks = useQueries({ queries: looked.map((spec) => dryRun({ experiment: experiment.slug, spec })) });
  const problem = checks.flatMap((check) => check.data?.errors ?? [])[0] ?? null;
  const good = checks.every((check) => check.data?.errors.length === 0);
  const [asked, ask] = useState(AT_ONCE);
  const estimates = useQueries({
    queries: looked.map((spec, i) => ({
      ...estimateOf(experiment.slug, spec),
      enabled: good && i < asked,
      placeholderData: undefined,
    })),
  });
  const answered = estimates.filter((one) => one.isFetched).length;
  const told = problem === null ? null : JSON.stringify(problem);
  useEffect(() => ask(answered + AT_ONCE), [answered]);
  useEffect(() => onProblem(told === null ? null : (JSON.parse(told) as InvalidField)), [told, onProblem]);
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
            {parts.length === 0 ? "no field differs yet" : parts.join(" × ")}
            {`, ${counted(seeds, "seed")} each`}
          </Text>
        </div>
        {problem !== null ? (
          <Text size="sm" className="break">
            <CircleX size={14} aria-hidden /> {problem.path}: {problem.message}
          </Text>
        ) : (
          parts.length > 0 && (
            <Estimates specs={looked} fields={Object.keys(grid)} estimates={estimates.map((one) => one.data)} />
          )
        )}
        {specs.length > LOOKED_AT && (
          <Text size="xs" c="dimmed">
            The first {LOOKED_AT} combinations were looked at.
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
        {first.reason ?? "No GPU memory is predicted for this experiment."}
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
            <Table.Th>Fits</Table.Th>
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
                  <Loader type="dots" size="xs" aria-label="Being predicted" />
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

/** The best that any GPU of the lab can do for it. */
function Fits({ estimate }: { estimate: EstimateRead | undefined }) {
  const verdicts = estimate?.gpus.map((gpu) => gpu.verdict) ?? [];
  if (verdicts.length === 0) return null;
  const look = verdicts.includes("fits")
    ? { color: "teal", Icon: CircleCheck, word: "yes" }
    : verdicts.includes("fits_up_to")
      ? { color: "orange", Icon: Scissors, word: "smaller" }
      : { color: "red", Icon: CircleX, word: "no" };
  return (
    <Group gap={4} wrap="nowrap">
      <Badge
        color={look.color}
        variant="light"
        tt="none"
        size="sm"
        className={`state state-${look.color}`}
        leftSection={<look.Icon size={12} aria-hidden />}
      >
        {look.word}
      </Badge>
    </Group>
  );
}
