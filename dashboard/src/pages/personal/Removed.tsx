/** Says what the lab's retention removed from a run, where it would be. */

import { Card } from "@mantine/core";

import type { JobRead } from "../../api/schema";
import { Empty } from "../../components/Feedback";
import { fullTime } from "../../format";

const TITLES = {
  metrics: "The metrics were removed",
  result: "The result was removed",
  samples: "The measurements were removed",
  output: "The output was removed",
  files: "The files were removed",
} as const;

export type Part = keyof typeof TITLES;

export function isRemoved(job: JobRead, part: Part): boolean {
  return job.removed?.[part] !== undefined;
}

export function Removed({ job, part }: { job: JobRead; part: Part }) {
  const at = job.removed?.[part];
  if (at === undefined) return null;
  return (
    <Card>
      <Empty title={TITLES[part]}>Removed on {fullTime(at)} by the lab&rsquo;s retention.</Empty>
    </Card>
  );
}
