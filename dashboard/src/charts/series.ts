/** Curves as data, and the few computations on them. */

import uPlot from "uplot";

export const GREY = -1;

export interface Curve {
  label: string;
  xs: number[];
  /** Null where there is no reading; a gap, never zero. */
  ys: (number | null)[];
  /** A thin, pale line below its smoothed twin; not in the legend or in exports. */
  faint?: boolean;
  /** Index of its colour; related curves share one. `GREY` for one that only stands beside the others. */
  color?: number;
  dash?: number[];
  /** Points without a line. */
  points?: boolean;
}

/**
 * An exponential moving average without the pull towards zero at the start.
 * `weight` is the share of the past, 0 to below 1; nulls are passed over and stay null.
 */
export function smoothed(ys: readonly (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return [...ys];
  let sum = 0;
  let mass = 0;
  return ys.map((y) => {
    if (y === null) return null;
    sum = weight * sum + (1 - weight) * y;
    mass = weight * mass + (1 - weight);
    return sum / mass;
  });
}

/** The curve with its points in the order of x, as a chart needs them. */
function ordered(curve: Curve): Curve {
  let sorted = true;
  for (let i = 1; i < curve.xs.length && sorted; i++) sorted = curve.xs[i - 1]! <= curve.xs[i]!;
  if (sorted) return curve;
  const order = curve.xs.map((_, i) => i).sort((a, b) => curve.xs[a]! - curve.xs[b]!);
  return { ...curve, xs: order.map((i) => curve.xs[i]!), ys: order.map((i) => curve.ys[i]!) };
}

/** All curves on one axis: x, then one column per curve. */
export function aligned(curves: readonly Curve[]): uPlot.AlignedData {
  const tables = curves.map(ordered);
  const first = tables[0];
  if (first === undefined) return [[]];
  if (tables.every((table) => table.xs === first.xs)) return [first.xs, ...tables.map((table) => table.ys)];
  return uPlot.join(tables.map((table) => [table.xs, table.ys]));
}

export function csvOf(xLabel: string, curves: readonly Curve[]): Blob {
  const shown = curves.filter((curve) => !curve.faint);
  const columns = aligned(shown);
  return spreadsheet([
    [xLabel, ...shown.map((curve) => curve.label)],
    ...Array.from(columns[0], (_, i) => columns.map((column) => column[i] ?? null)),
  ]);
}

/** A CSV file for spreadsheets: with a UTF-8 mark if needed, and no text that would run as a formula. */
export function spreadsheet(rows: readonly (readonly (string | number | null)[])[]): Blob {
  const lines = rows.map((cells) =>
    cells.map((cell) => (typeof cell === "string" ? quoted(cell) : cell === null ? "" : String(cell))).join(","),
  );
  const mark = lines.some((line) => /\P{ASCII}/u.test(line)) ? ["\ufeff"] : [];
  return new Blob([...mark, ...lines.map((line) => `${line}\r\n`)], { type: "text/csv" });
}

function quoted(text: string): string {
  const formula =
    /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) && !(text.trim() === text && Number.isFinite(Number(text)));
  const cell = formula ? `'${text}` : text;
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

export function saveAs(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A logarithmic axis has no place for zero and below; such points leave a gap. */
export function positive(curve: Curve): Curve {
  return { ...curve, ys: curve.ys.map((y) => (y !== null && y > 0 ? y : null)) };
}

const MAX_DESCRIBED = 8;

/** The chart in words, for a screen reader: where each curve starts and ends, its minimum and maximum. */
export function described(
  title: string,
  xLabel: string,
  curves: readonly Curve[],
  formatY: (y: number) => string,
): string {
  const lines = curves
    .filter((curve) => !curve.faint)
    .slice(0, MAX_DESCRIBED)
    .map((curve) => {
      const ys = curve.ys.filter((y) => y !== null);
      if (ys.length === 0) return `${curve.label}: no data`;
      const low = ys.reduce((a, b) => Math.min(a, b));
      const high = ys.reduce((a, b) => Math.max(a, b));
      return `${curve.label} from ${formatY(ys[0]!)} to ${formatY(ys.at(-1)!)}, minimum ${formatY(low)}, maximum ${formatY(high)}`;
    });
  return `Chart of ${title} against ${xLabel}. ${lines.join(". ")}`;
}
