/** The columns of the table of jobs: their names for users, and conditions on their values. */

import { writeJson } from "../../api/exact";
import type { FieldRead } from "../../api/schema";
import { words } from "../../format";

const OF_JOB = [
  "note",
  "seed",
  "node",
  "device",
  "attempt",
  "priority",
  "cause",
  "submitted_at",
  "started_at",
  "finished_at",
];
const ROOTS = { spec: "Parameters", result: "Results", metric: "Metrics" } as const;

export const ORDER = { name: "name", state: "state", owner: "owner", took: "seconds", changed: "changed_at" } as const;

export function isCurve(column: string): boolean {
  return column.startsWith("metric.") && column.endsWith(".curve");
}

/** `spec.batch_size` as "Batch size", `metric.loss.min` as "Loss, min". */
export function title(column: string): string {
  const [root, ...rest] = column.split(".");
  if (rest.length === 0) return words(column);
  const last = rest.at(-1)!;
  if (root !== "metric" || rest.length === 1 || !["last", "min", "max", "curve"].includes(last))
    return words(rest.join(" ").replaceAll('"', ""));
  return `${words(rest.slice(0, -1).join("."))}${last === "last" ? "" : `, ${last}`}`.replaceAll('"', "");
}

/** What can be chosen, in groups; a metric as its last, lowest and highest value, and as a curve where it may be one. */
export function choices(fields: readonly FieldRead[], curves: boolean) {
  const found: Record<string, string[]> = {};
  for (const { name } of fields) {
    const root = name.split(".")[0] as keyof typeof ROOTS;
    const metric = name.replace(/\.last$/, "");
    const each =
      root === "metric" ? [name, `${metric}.min`, `${metric}.max`, ...(curves ? [`${metric}.curve`] : [])] : [name];
    (found[ROOTS[root]] ??= []).push(...each);
  }
  return [...Object.entries(found), ["Run", OF_JOB] as const].map(([group, items]) => ({
    group,
    items: items.map((value) => ({ value, label: title(value) })),
  }));
}

/** The condition that a column has this value. */
export function equals(column: string, value: unknown): string {
  return `${column}=${typeof value === "string" ? JSON.stringify(value) : writeJson(value)}`;
}

/** Upwards, then downwards, then newest first again. */
export function nextOrder(column: string, order: string | undefined): string | undefined {
  return order === column ? `-${column}` : order === `-${column}` ? undefined : column;
}
