/** The states of a job, in order, and the causes of a failure, with their words. The terminal uses the same words. */

import type { FailureCause, JobState, StandingRead } from "./schema";

export const UNFINISHED = ["queued", "leased", "running"] as const satisfies JobState[];
const ENDED = ["succeeded", "failed", "cancelled"] as const satisfies JobState[];
export const STATES = [...UNFINISHED, ...ENDED] as const;
export const FINAL: ReadonlySet<string> = new Set<JobState>(ENDED);

export const STATE_WORDS: Record<JobState, string> = {
  queued: "Queued",
  leased: "Starting",
  running: "Running",
  succeeded: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
};

/** The states of a student with an assignment: those first who need help. */
export const STUDENT_STATES = [
  "stuck",
  "not_started",
  "working",
  "good_run",
  "late",
  "handed_in",
] as const satisfies StandingRead["state"][];

/** As part of a line. */
export const CAUSE_WORDS: Record<FailureCause, string> = {
  out_of_memory: "out of memory",
  diverged: "diverged",
  error: "error",
  time_limit: "time limit",
  lost: "lost",
  gpu_fault: "GPU fault",
  cannot_fit: "cannot fit",
  idle: "idle GPU",
  limit_exceeded: "limit exceeded",
};
