import type { JobSummary } from "../api/schema";
import { AnchorLink } from "./Links";

export function jobName(job: { name: string | null; experiment: string }): string {
  return job.name ?? job.experiment;
}

export function shortId(id: string): string {
  return id.slice(-8);
}

export function JobLink({ job }: { job: Pick<JobSummary, "id" | "name" | "experiment"> }) {
  return (
    <AnchorLink to="/jobs/$id" params={{ id: job.id }} size="sm" fw={550}>
      {jobName(job)}
    </AnchorLink>
  );
}
