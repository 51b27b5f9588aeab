/** The timeline as lanes: one for each GPU, one for the CPU of a machine, with the runs packed into rows. */

import type {
  ExpectedRunRead,
  TimelineGpuRead,
  TimelineLabHoursRead,
  TimelineRead,
  TimelineRunRead,
} from "../../api/schema";
import { STATE_WORDS } from "../../api/states";
import { duration } from "../../format";
import { LOCALE } from "../../locale";

export const HOUR = 3_600_000;
const MINUTE = 60_000;
const MAX_ROWS = 12;
/** Of the time shown, how much lies ahead. */
const AHEAD = 0.2;
export const SPANS = { "1": "1 h", "6": "6 h", "24": "24 h" } as const;
export type Span = keyof typeof SPANS;
const TICKS: Record<Span, number> = { "1": 10 * MINUTE, "6": HOUR, "24": 4 * HOUR };

export interface Bar {
  jobId: string | null;
  look: "expected" | "running" | "succeeded" | "failed" | "stopped" | "other";
  name: string;
  text: string;
  start: number;
  end: number;
  row: number;
}

/** A time in which a GPU is kept for lab hours. */
export interface Kept {
  start: number;
  end: number;
  text: string;
}

export interface Lane {
  key: string;
  node: string;
  label: string;
  gpu: TimelineGpuRead | null;
  bars: Bar[];
  kept: Kept[];
  rows: number;
}

/** The time that the timeline shows, in milliseconds. */
export interface Axis {
  start: number;
  now: number;
  end: number;
}

export function axisOf(data: TimelineRead, span: Span, now: number): Axis {
  const start = now - Number(span) * HOUR;
  return { start: Math.max(start, Date.parse(data.start)), now, end: now + (AHEAD / (1 - AHEAD)) * (now - start) };
}

/** When the first run or reading in the data was; the future if there is none. */
export function began(data: TimelineRead): number {
  const cells = data.gpus.map(({ utilization_percent: cells }) => cells.findIndex((value) => value !== null));
  const readings = cells
    .filter((cell) => cell >= 0)
    .map((cell) => Date.parse(data.start) + cell * data.cell_seconds * 1000);
  return Math.min(Infinity, ...data.runs.map((run) => Date.parse(run.start)), ...readings);
}

/** Where a moment lies, in percent of the width. */
export function at(axis: Axis, moment: number): number {
  const share = (moment - axis.start) / (axis.end - axis.start);
  return 100 * Math.min(1, Math.max(0, share));
}

/** Whole hours, or minutes, of the reader's clock. */
export function ticksOf(axis: Axis, span: Span): number[] {
  const step = TICKS[span];
  const zone = new Date(axis.now).getTimezoneOffset() * MINUTE;
  const first = Math.ceil((axis.start - zone) / step) * step + zone;
  const count = Math.max(0, Math.floor((axis.end - first) / step) + 1);
  return Array.from({ length: count }, (_, i) => first + i * step);
}

export function lanesOf(data: TimelineRead, nodes: readonly string[], axis: Axis): Lane[] {
  const bars = [
    ...data.runs.map((run) => ({ of: run, bar: ranBar(run, axis) })),
    ...data.expected.map((run) => ({ of: run, bar: expectedBar(run, axis) })),
  ].filter(({ bar }) => bar.end > axis.start && bar.start < axis.end);
  return nodes.flatMap((node) => {
    const here = bars.filter(({ of }) => of.node === node);
    const gpus = data.gpus.filter((gpu) => gpu.node === node);
    const lanes = gpus.map((gpu) => {
      const onIt = here.filter(({ of }) => of.gpu_uuids.includes(gpu.uuid));
      return laneOf(gpu.uuid, node, `GPU ${gpu.index}`, gpu, onIt, keptOn(gpu, data.lab_hours, axis));
    });
    const onCpu = here.filter(({ of }) => of.gpu_uuids.length === 0);
    return gpus.length > 0 && onCpu.length === 0 ? lanes : [...lanes, laneOf(`cpu ${node}`, node, "CPU", null, onCpu)];
  });
}

/** Lab hours of this GPU that the axis shows. Of a whole machine, all its GPUs are known beforehand. */
function keptOn(gpu: TimelineGpuRead, labHours: TimelineLabHoursRead[], axis: Axis): Kept[] {
  return labHours
    .filter((hours) => hours.gpu_uuids.includes(gpu.uuid) || (hours.gpus === null && hours.node === gpu.node))
    .map((hours) => ({ start: Date.parse(hours.start), end: Date.parse(hours.end), text: keptText(hours) }))
    .filter(({ start, end }) => end > axis.start && start < axis.end);
}

function keptText(hours: TimelineLabHoursRead): string {
  const whose = hours.name ?? "another class";
  return `Kept for ${whose}, ${clock(Date.parse(hours.start))} to ${clock(Date.parse(hours.end))}`;
}

function laneOf(
  key: string,
  node: string,
  label: string,
  gpu: TimelineGpuRead | null,
  given: { bar: Bar }[],
  kept: Kept[] = [],
): Lane {
  const bars = given.map(({ bar }) => ({ ...bar })).sort((a, b) => a.start - b.start || a.end - b.end);
  const free: number[] = [];
  for (const bar of bars) {
    const row = free.findIndex((end) => end <= bar.start);
    bar.row = row >= 0 ? row : Math.min(free.length, MAX_ROWS - 1);
    free[bar.row] = Math.max(free[bar.row] ?? 0, bar.end);
  }
  return { key, node, label, gpu, bars, kept, rows: Math.max(1, free.length) };
}

function ranBar(run: TimelineRunRead, axis: Axis): Bar {
  const start = Date.parse(run.start);
  const end = run.end === null ? axis.now : Math.max(start, Date.parse(run.end));
  const took = duration((end - start) / 1000);
  const when = run.end === null ? `since ${clock(start)} (${took})` : `${clock(start)} to ${clock(end)} (${took})`;
  const how = run.end === null ? "running" : run.job_id === null ? "" : outcomeWords(run.outcome);
  return { ...whose(run), look: lookOf(run), text: sentence(run, how, when), start, end, row: 0 };
}

function expectedBar(run: ExpectedRunRead, axis: Axis): Bar {
  const start = Math.max(axis.now, Date.parse(run.start));
  const end = start + run.time_limit_seconds * 1000;
  const when = `starts by ${clock(start)}, at most ${duration(run.time_limit_seconds)}`;
  return { ...whose(run), look: "expected", text: sentence(run, "waiting", when), start, end, row: 0 };
}

function whose(run: TimelineRunRead | ExpectedRunRead): Pick<Bar, "jobId" | "name"> {
  return { jobId: run.job_id, name: run.name ?? "another run" };
}

function sentence(run: TimelineRunRead | ExpectedRunRead, how: string, when: string): string {
  const who = run.name === null ? "Another run" : run.own ? run.name : `${run.name} by ${run.owner}`;
  return [who, how, when].filter(Boolean).join(", ");
}

function lookOf(run: TimelineRunRead): Bar["look"] {
  if (run.job_id === null) return "other";
  if (run.end === null) return "running";
  return run.outcome === "succeeded" || run.outcome === "failed" ? run.outcome : "stopped";
}

function outcomeWords(outcome: string | null): string {
  const words: Record<string, string> = { ...STATE_WORDS, queued: "interrupted", lost: "its machine was lost" };
  return (words[outcome ?? ""] ?? "ended").toLowerCase();
}

const hourAndMinute = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit" });

export function clock(moment: number): string {
  return hourAndMinute.format(moment);
}

/** What a GPU did in the cell that holds a moment; null where nothing was read. */
export function cellText(data: TimelineRead, gpu: TimelineGpuRead, moment: number): string | null {
  const start = Date.parse(data.start);
  const length = data.cell_seconds * 1000;
  const cell = Math.floor((moment - start) / length);
  const [busy, used] = [gpu.utilization_percent[cell], gpu.memory_percent[cell]];
  if (busy == null && used == null) return null;
  const values = [busy == null ? null : `${busy} % busy`, used == null ? null : `memory up to ${used} %`];
  const from = start + cell * length;
  return `${clock(from)} to ${clock(from + length)}: ${values.filter((words) => words !== null).join(", ")}`;
}

export function stripText(gpu: TimelineGpuRead): string {
  const busy = gpu.utilization_percent.filter((value) => value !== null);
  const used = gpu.memory_percent.filter((value) => value !== null);
  if (busy.length === 0 && used.length === 0) return "No readings yet";
  const mean = busy.length === 0 ? null : Math.round(busy.reduce((sum, value) => sum + value, 0) / busy.length);
  return [
    mean === null ? null : `Utilisation: ${mean} % on average`,
    used.length === 0 ? null : `memory: at most ${Math.max(...used)} %`,
  ]
    .filter((words) => words !== null)
    .join(", ");
}
