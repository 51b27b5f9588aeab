/** The fields and results of a study as axes: where a run stands on each, and which runs a selection keeps. */

import { writeJson } from "../../../api/exact";
import type { StudyEffectsRead, StudyTrainingRead } from "../../../api/schema";
import { bytes, number, value, words } from "../../../format";

export interface Axis {
  /** `field:dropout` or `result:accuracy`. */
  key: string;
  label: string;
  /** Its place among the fields, or among the results. */
  at: number;
  /** The values of a field, which stand evenly spaced; null for a result. */
  levels: readonly unknown[] | null;
  /** The place of each value of a field, by its text; empty for a result. */
  places: ReadonlyMap<string, number>;
  /** The range of a result. */
  low: number;
  high: number;
}

/** What is kept of an axis: some values of a field, or a range of a result. */
export type Kept = { levels: readonly number[] } | { low: number; high: number };
export type Selection = Readonly<Record<string, Kept>>;

export function axesOf(data: StudyEffectsRead): Axis[] {
  const fields = data.fields.map(({ name, values }, at): Axis => ({
    key: `field:${name}`,
    label: words(name),
    at,
    levels: values,
    places: new Map(values.map((one, place) => [writeJson(one), place])),
    low: 0,
    high: values.length - 1,
  }));
  const results = data.results.map((name, at): Axis => {
    const known = data.trainings.map((one) => one.numbers[at]).filter((entry) => entry !== null && entry !== undefined);
    const low = known.reduce((a, b) => Math.min(a, b), Infinity);
    const high = known.reduce((a, b) => Math.max(a, b), -Infinity);
    return { key: `result:${name}`, label: words(name), at, levels: null, places: new Map(), low, high };
  });
  return [...fields, ...results];
}

/** The number of a run on the axis: its result, or the place of its value among those of the field. */
export function numberOn(axis: Axis, run: StudyTrainingRead): number | null {
  if (axis.levels === null) return run.numbers[axis.at] ?? null;
  return axis.places.get(writeJson(run.values[axis.at])) ?? null;
}

/** From 0 at the low end to 1 at the high end. */
export function share(axis: Axis, at: number): number {
  return axis.high > axis.low ? (at - axis.low) / (axis.high - axis.low) : 0.5;
}

/** The inverse of `share`. */
export function numberAt(axis: Axis, part: number): number {
  return axis.low + part * (axis.high - axis.low);
}

export function textOn(axis: Axis, at: number | null): string {
  if (at === null) return value(null);
  if (axis.levels !== null) return value(axis.levels[at]);
  return axis.key.endsWith("_bytes") ? bytes(at) : number(at, 5);
}

const MAX_TICKS = 9;

/** Numbers of the axis that get words: every value of a short field, else some of them; five of a result. */
export function ticksOf(axis: Axis, most = MAX_TICKS): number[] {
  if (!Number.isFinite(axis.low)) return [];
  if (axis.levels === null) {
    if (axis.low === axis.high) return [axis.low];
    const count = Math.max(2, Math.min(5, most));
    return Array.from({ length: count }, (_, i) => numberAt(axis, i / (count - 1)));
  }
  const step = Math.ceil(axis.levels.length / most);
  return axis.levels.map((_, i) => i).filter((i) => i % step === 0);
}

/** What a stroke along the axis keeps, from one share to another; null where it keeps everything or nothing. */
export function swept(axis: Axis, from: number, to: number): Kept | null {
  const [low, high] = [numberAt(axis, Math.min(from, to)), numberAt(axis, Math.max(from, to))];
  if (axis.levels === null) return { low, high };
  const levels = axis.levels.map((_, i) => i).filter((i) => i >= low && i <= high);
  return levels.length === 0 || levels.length === axis.levels.length ? null : { levels };
}

function keeps(kept: Kept, at: number | null): boolean {
  if (at === null) return false;
  return "levels" in kept ? kept.levels.includes(at) : at >= kept.low && at <= kept.high;
}

/** Whether the selection keeps the run. */
export function isKept(axes: readonly Axis[], selection: Selection, run: StudyTrainingRead): boolean {
  return axes.every((axis) => {
    const kept = selection[axis.key];
    return kept === undefined || keeps(kept, numberOn(axis, run));
  });
}

/** The run in a line. */
export function described(axes: readonly Axis[], run: StudyTrainingRead): string {
  const parts = axes.map((axis) => `${axis.label.toLowerCase()} ${textOn(axis, numberOn(axis, run))}`);
  return [`Seed ${run.seed}`, ...parts, ...(run.why === "" ? [] : [`failed: ${run.why}`])].join(", ");
}

/** From low to high, in two hues that also differ in lightness. */
export function colorOf(part: number): string {
  return `color-mix(in oklab, var(--scale-low), var(--scale-high) ${Math.round(100 * part)}%)`;
}
