/** Tabs that would have nothing to show. Of a run that ended, what is not there will not come. */

import { useQuery } from "@tanstack/react-query";

import * as queries from "../../../api/queries";
import type { JobRead } from "../../../api/schema";
import { FINAL } from "../../../api/states";

const FEW = 50;

export function useEmptyTabs(job: JobRead | undefined): ReadonlySet<string> {
  const final = job !== undefined && FINAL.has(job.state);
  const id = job?.id ?? "";
  const { data: files } = useQuery({ ...queries.artifacts(id), enabled: final });
  const { data: samples } = useQuery({ ...queries.samples(id, FEW), enabled: final });
  const empty = new Set<string>();
  if (!job?.program) empty.add("program");
  if (!final) return empty;
  if (files?.items.length === 0 && !job.removed?.["files"]) empty.add("files");
  const explained = job.failure !== null || job.cause === "out_of_memory";
  if (samples?.tracks.length === 0 && !job.removed?.["samples"] && !job.estimate && !explained) empty.add("memory");
  // A run that no machine started printed nothing.
  if (job.attempt === 0) empty.add("output");
  return empty;
}
