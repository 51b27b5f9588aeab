/** Series that are read in pieces. */

import type { MetricsRead, SeriesRead } from "./schema";

/** Whether the series grew so much that the lab should thin it again. */
export function grown(metrics: MetricsRead, points: number): boolean {
  return metrics.series.some((series) => series.steps.length > 2 * points);
}

/** The known points and the new ones; only the new ones if they are the whole series. */
export function followed(before: MetricsRead, newer: MetricsRead): MetricsRead {
  if (newer.whole) return newer;
  if (newer.series.length === 0) return before;
  const series = new Map(before.series.map((one) => [one.name, one]));
  for (const part of newer.series) {
    const one = series.get(part.name);
    series.set(part.name, one ? joined(one, part) : part);
  }
  const inOrder = newer.names.map((name) => series.get(name)).filter((one) => one !== undefined);
  return { ...newer, series: inOrder, whole: true };
}

function joined(one: SeriesRead, next: SeriesRead): SeriesRead {
  const start = one.values.length;
  const nonfinite = Object.entries(next.nonfinite).map(([at, value]) => [start + Number(at), value] as const);
  return {
    name: one.name,
    steps: one.steps.concat(next.steps),
    values: one.values.concat(next.values),
    times: one.times.concat(next.times),
    nonfinite: { ...one.nonfinite, ...Object.fromEntries(nonfinite) },
    total_points: one.total_points + next.total_points,
  };
}
