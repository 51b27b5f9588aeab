/** Several runs side by side: any metric in one chart, and what differs in their specs and results. */

import {
  Card,
  Button,
  Group,
  MultiSelect,
  Select,
  Stack,
  Table,
  Text,
  Title,
  Switch,
  Tooltip,
  UnstyledButton,
  useComputedColorScheme,
} from "@mantine/core";
import { useQueries, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Check, Link as LinkIcon } from "lucide-react";
import { useMemo, useState } from "react";

import { CopyButton } from "../browser/CopyButton";
import { programDifference } from "../api/programs";
import * as queries from "../api/queries";
import type { JobRead, MetricsRead, SamplesRead } from "../api/schema";
import { Chart } from "../charts/Chart";
import { CurveControls, useCurveSettings } from "../charts/CurveControls";
import { axisOf, curvesOf } from "../charts/metrics";
import { GREY, saveAs, spreadsheet, type Curve } from "../charts/series";
import { Empty, Failure, Waiting } from "../components/Feedback";
import { jobName, shortId } from "../components/JobLink";
import { AnchorLink } from "../components/Links";
import { JobBadge } from "../components/State";
import { bytes, counted, number, quantity, value, words } from "../format";
import { SERIES_COLORS } from "../theme";
import { differing, numbersOf, peakOf, tableOf } from "./compare/fields";
import { MAX_HUES, useHues, type Hues } from "./compare/hues";

const POINTS = 2000;
const MAX_RUNS = 20;

export function Compare() {
  const { jobs: asked = [] } = useSearch({ from: "/inside/compare" });
  const ids = asked.slice(0, MAX_RUNS);
  const jobs = useQueries({ queries: ids.map((id) => queries.job(id)) });
  const found = jobs.flatMap((query) => query.data ?? []);
  const failed = jobs.find((query) => query.error);
  return (
    <Stack gap="md">
      <Group justify="space-between" gap="xs">
        <Title order={1} size="h2">
          Compare
        </Title>
        {ids.length > 0 && (
          <CopyButton value={location.href}>
            {({ copied, copy }) => (
              <Button
                size="sm"
                variant="default"
                onClick={copy}
                leftSection={copied ? <Check size={15} aria-hidden /> : <LinkIcon size={15} aria-hidden />}
              >
                {copied ? "Copied" : "Copy link"}
              </Button>
            )}
          </CopyButton>
        )}
      </Group>
      <Chooser ids={ids} found={found} />
      {failed && <Failure error={failed.error} />}
      {ids.length === 0 ? (
        <Card>
          <Empty title="No runs selected">
            Select runs above, or in the list of{" "}
            <AnchorLink to="/jobs" size="sm" underline="always">
              jobs
            </AnchorLink>
            .
          </Empty>
        </Card>
      ) : found.length === 0 ? (
        !failed && <Waiting />
      ) : (
        <Comparison jobs={found} />
      )}
    </Stack>
  );
}

function Chooser({ ids, found }: { ids: string[]; found: JobRead[] }) {
  const navigate = useNavigate({ from: "/compare" });
  const recent = useQuery({ ...queries.recentJobs, staleTime: 10_000 });
  const known = new Map([...(recent.data?.items ?? []), ...found].map((job) => [job.id, job]));
  for (const id of ids) if (!known.has(id)) known.set(id, { id, name: "…", experiment: "" } as JobRead);
  return (
    <MultiSelect
      label="Runs"
      placeholder={ids.length === 0 ? "Select runs" : ""}
      data={[...known.values()].map((job) => ({ value: job.id, label: `${jobName(job)} ${shortId(job.id)}` }))}
      value={ids}
      onChange={(chosen) =>
        void navigate({
          search: (before) => ({ ...before, jobs: chosen.length > 0 ? chosen : undefined }),
          replace: true,
        })
      }
      maxValues={MAX_RUNS}
      searchable
      hidePickedOptions
      limit={50}
      nothingFoundMessage="No run matches"
    />
  );
}

function Comparison({ jobs }: { jobs: JobRead[] }) {
  const read = useQueries({
    queries: jobs.map((job) => queries.metrics(job.id, POINTS)),
    combine: (results) => results.map((result) => result.data),
  });
  const sampled = useQueries({
    queries: jobs.map((job) => queries.samples(job.id, 50)),
    combine: (results) => results.map((result) => result.data),
  });
  const different = useMemo(() => differing(jobs), [jobs]);
  const labels = useMemo(() => labelsOf(jobs, different), [jobs, different]);
  const hues = useHues(jobs.map((job) => job.id));
  const shown = { jobs, labels, hues };
  return (
    <>
      <Overlay {...shown} read={read} />
      <Differences jobs={jobs} hues={hues} different={different} sampled={sampled} />
      <Against {...shown} sampled={sampled} />
    </>
  );
}

/** The shortest labels that distinguish the runs. */
function labelsOf(jobs: JobRead[], different: string[]): string[] {
  const shown = different.filter((name) => name !== "name").slice(0, 2);
  return jobs.map((job) => {
    const parts = shown.map((name) => `${words(name).toLowerCase()} ${value(tableOf(job)[name])}`);
    const base = job.name ?? (parts.length > 0 ? "" : job.experiment);
    return [base, parts.join(", ")].filter(Boolean).join(": ") + ` (${shortId(job.id).slice(-4)})`;
  });
}

interface Shown {
  jobs: JobRead[];
  labels: string[];
  hues: Hues;
}

function Overlay({ jobs, read, labels, hues }: Shown & { read: (MetricsRead | undefined)[] }) {
  const { metric } = useSearch({ from: "/inside/compare" });
  const navigate = useNavigate({ from: "/compare" });
  const [settings, change] = useCurveSettings();
  const names = [...new Set(read.flatMap((one) => one?.names ?? []))];
  const name = metric !== undefined && names.includes(metric) ? metric : names[0];
  const curves = useMemo(
    () =>
      name === undefined
        ? []
        : greyFirst(
            jobs.flatMap((job, i) => {
              const series = read[i]?.series.find((one) => one.name === name);
              return series === undefined ? [] : curvesOf(series, labels[i]!, hues.of(job.id), settings);
            }),
          ),
    [jobs, read, labels, name, settings, hues],
  );
  if (name === undefined) {
    return (
      <Card>
        <Empty title="No curves">These runs recorded no metrics.</Empty>
      </Card>
    );
  }
  return (
    <Card>
      <Stack gap="sm">
        <Group gap="lg" align="flex-end">
          <Select
            label="Metric"
            data={names.map((entry) => ({ value: entry, label: words(entry) }))}
            value={name}
            onChange={(chosen) =>
              void navigate({ search: (before) => ({ ...before, metric: chosen ?? undefined }), replace: true })
            }
            allowDeselect={false}
            searchable
          />
          <CurveControls settings={settings} change={change} />
        </Group>
        <Chart title={words(name)} curves={curves} {...axisOf(settings)} log={settings.log} height={360} />
      </Stack>
    </Card>
  );
}

/** So that no grey curve lies on one with a hue. */
function greyFirst(curves: Curve[]): Curve[] {
  return [...curves].sort((a, b) => Number(b.color === GREY) - Number(a.color === GREY));
}

interface DifferencesProps {
  jobs: JobRead[];
  hues: Hues;
  different: string[];
  sampled: (SamplesRead | undefined)[];
}

const MAX_RESULTS = 24;

function Differences({ jobs, hues, different, sampled }: DifferencesProps) {
  const [all, setAll] = useState(false);
  const results = [...new Set(jobs.flatMap((job) => Object.keys(numbersOf(job.result))))].slice(0, MAX_RESULTS);
  const specs = all ? [...new Set(jobs.flatMap((job) => Object.keys(tableOf(job))))] : different;
  const measured: [string, string[]][] = [
    ["Measured peak memory", sampled.map((samples) => bytes(peakOf(samples)))],
    ...results.map((name): [string, string[]] => [
      quantity(name),
      jobs.map((job) => sized(name, numbersOf(job.result)[name])),
    ]),
  ];
  const rows: [string, string[]][] = [
    ...specs.map((name): [string, string[]] => [words(name), jobs.map((job) => value(tableOf(job)[name]))]),
    ...measured.filter(([, cells]) => all || new Set(cells).size > 1),
  ];
  const table = [["field", ...jobs.map((job) => job.id)], ...rows.map(([name, cells]) => [name, ...cells])];
  return (
    <Card component="section" aria-labelledby="differences">
      <Group justify="space-between" mb="xs" gap="xs">
        <Title order={2} size="h4" id="differences">
          Differences
        </Title>
        <Group gap="md">
          <CodeDifference jobs={jobs} />
          <Switch
            size="sm"
            label="Show equal fields"
            checked={all}
            onChange={(event) => setAll(event.currentTarget.checked)}
          />
          <Button size="xs" variant="default" onClick={() => saveAs("comparison.csv", spreadsheet(table))}>
            Save as CSV
          </Button>
        </Group>
      </Group>
      {jobs.length > MAX_HUES && (
        <Text size="sm" c="dimmed">
          At most {MAX_HUES} runs have a colour, the others are grey. The squares below give and take colours.
        </Text>
      )}
      {different.length === 0 && (
        <Text size="sm" c="dimmed">
          These runs have the same spec and seed.
        </Text>
      )}
      <Table.ScrollContainer minWidth={100 + 115 * jobs.length}>
        <Table verticalSpacing={6}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Field</Table.Th>
              {jobs.map((job) => (
                <Table.Th key={job.id}>
                  <RunHead job={job} hues={hues} />
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map(([name, cells]) => (
              <Table.Tr key={name}>
                <Table.Th scope="row" fw={500}>
                  {name}
                </Table.Th>
                {cells.map((cell, i) => (
                  <Table.Td key={jobs[i]!.id} className="numbers break">
                    {cell}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Card>
  );
}

function sized(name: string, entry: number | undefined): string {
  return name.endsWith("_bytes") ? bytes(entry) : number(entry, 5);
}

/** Of the first two runs with different programs. */
function CodeDifference({ jobs }: { jobs: JobRead[] }) {
  const [one, other] = [...new Set(jobs.flatMap((job) => job.program?.sha256 ?? []))];
  if (one === undefined || other === undefined) return null;
  return <DifferenceLink one={one} other={other} />;
}

function DifferenceLink({ one, other }: { one: string; other: string }) {
  const { data } = useQuery(programDifference(one, other));
  return (
    <AnchorLink to="/programs/$sha256" params={{ sha256: one }} search={{ compare: other }} size="sm">
      {data === undefined ? "Compare code" : `Code differs: ${counted(data.files.length, "file")}`}
    </AnchorLink>
  );
}

/** The run with the colour of its curve. */
function RunHead({ job, hues }: { job: JobRead; hues: Hues }) {
  const colors = SERIES_COLORS[useComputedColorScheme("light")];
  const hue = hues.of(job.id);
  const name = `${jobName(job)} ${shortId(job.id).slice(-4)}`;
  return (
    <>
      <Group gap={6} wrap="nowrap">
        <Tooltip
          label={hue === GREY ? (hues.free ? "Give a colour" : "First take a colour from another run") : "Make grey"}
        >
          <UnstyledButton
            className="hue"
            style={{ background: hue === GREY ? "var(--quiet)" : colors[hue] }}
            aria-label={`Colour of ${name}`}
            aria-pressed={hue !== GREY}
            aria-disabled={hue === GREY && !hues.free}
            onClick={() => hues.flip(job.id)}
          />
        </Tooltip>
        <AnchorLink to="/jobs/$id" params={{ id: job.id }} size="sm">
          {name}
        </AnchorLink>
      </Group>
      <JobBadge state={job.state} cause={job.cause} size="xs" />
    </>
  );
}

/** A result against a varied field of the spec, such as memory against batch size. */
function Against({ jobs, sampled, labels, hues }: Shown & { sampled: (SamplesRead | undefined)[] }) {
  const search = useSearch({ from: "/inside/compare" });
  const navigate = useNavigate({ from: "/compare" });
  const xs = differing(jobs).filter((name) => jobs.every((job) => typeof tableOf(job)[name] === "number"));
  const ys = ["peak_memory_bytes", ...new Set(jobs.flatMap((job) => Object.keys(numbersOf(job.result))))];
  const x =
    search.x !== undefined && xs.includes(search.x) ? search.x : xs.includes("batch_size") ? "batch_size" : xs[0];
  const y = search.y !== undefined && ys.includes(search.y) ? search.y : ys[0]!;
  if (x === undefined) return null;
  const memory = y.endsWith("_bytes");
  const curves = jobs.map((job, i): Curve => {
    const at = y === "peak_memory_bytes" ? peakOf(sampled[i]) : (numbersOf(job.result)[y] ?? null);
    return { label: labels[i]!, xs: [tableOf(job)[x] as number], ys: [at], points: true, color: hues.of(job.id) };
  });
  const pick = (name: "x" | "y") => (chosen: string | null) =>
    void navigate({ search: (before) => ({ ...before, [name]: chosen ?? undefined }), replace: true });
  return (
    <Card>
      <Stack gap="sm">
        <Group gap="sm">
          <Select
            label="Result"
            data={ys.map((name) => ({ value: name, label: quantity(name) }))}
            value={y}
            onChange={pick("y")}
            allowDeselect={false}
            searchable
          />
          <Select
            label="Against"
            data={xs.map((name) => ({ value: name, label: words(name) }))}
            value={x}
            onChange={pick("x")}
            allowDeselect={false}
          />
        </Group>
        <Chart
          title={`${quantity(y)} against ${words(x).toLowerCase()}`}
          curves={curves}
          xLabel={words(x).toLowerCase()}
          formatY={memory ? bytes : number}
          binary={memory}
          fromZero={memory}
        />
      </Stack>
    </Card>
  );
}
