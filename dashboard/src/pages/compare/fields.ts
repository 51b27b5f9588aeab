/** Jobs as flat tables, and the fields that differ. */

import { writeJson } from "../../api/exact";
import type { JobRead, SamplesRead } from "../../api/schema";

/** The spec's fields, the seed and the machine. */
export function tableOf(job: JobRead): Record<string, unknown> {
  return {
    name: job.name,
    experiment: job.experiment,
    ...Object.fromEntries(Object.entries(job.spec).flatMap(([name, entry]) => flat(name, entry))),
    seed: job.seed,
    device: job.device,
    node: job.node,
  };
}

/** The entries of a field that holds values by name, such as the parameters of a script. */
function flat(name: string, entry: unknown): [string, unknown][] {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) return [[name, entry]];
  return Object.entries(entry).map(([key, part]) => [`${name}.${key}`, part]);
}

/** Names of the fields that differ between the jobs, in the order of their specs. */
export function differing(jobs: readonly JobRead[]): string[] {
  const tables = jobs.map(tableOf);
  const names = [...new Set(tables.flatMap((table) => Object.keys(table)))];
  return names.filter((name) => new Set(tables.map((table) => writeJson(table[name]))).size > 1);
}

/** The numbers at the top level of a result. */
export function numbersOf(result: Record<string, unknown> | null): Record<string, number> {
  return Object.fromEntries(
    Object.entries(result ?? {}).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
  );
}

const PEAKS = ["process_used_bytes", "reserved_bytes", "allocated_bytes", "rss_bytes"];

/** The measured peak memory: of the GPU, else of the host, else null. */
export function peakOf(samples: SamplesRead | undefined): number | null {
  for (const field of PEAKS) {
    const seen = samples?.tracks
      .flatMap((track) => track.values[field] ?? [])
      .filter((entry): entry is number => typeof entry === "number");
    if (seen !== undefined && seen.length > 0) return Math.max(...seen);
  }
  return null;
}
