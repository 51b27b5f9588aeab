/** A run's metric as curves: over steps or time, smoothed or as recorded. */

import type { SeriesRead } from "../api/schema";
import { duration, number } from "../format";
import type { CurveSettings } from "./CurveControls";
import { smoothed, type Curve } from "./series";

/** With smoothing, the recorded values stay visible below as a pale line. */
export function curvesOf(series: SeriesRead, label: string, color: number, settings: CurveSettings): Curve[] {
  const began = series.times[0] ?? 0;
  const xs = settings.axis === "step" ? series.steps : series.times.map((time) => time - began);
  const main = { label, xs, ys: smoothed(series.values, settings.smoothing), color };
  if (settings.smoothing === 0) return [main];
  return [{ label: `${label}, as recorded`, xs, ys: series.values, color, faint: true }, main];
}

export function axisOf({ axis }: CurveSettings) {
  return axis === "step"
    ? { xLabel: "step", formatX: number, clock: false }
    : { xLabel: "time", formatX: duration, clock: true };
}
