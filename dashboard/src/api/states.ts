/** The states of a job, in the order in which it passes them. */

import type { JobState } from "./schema";

export const UNFINISHED = ["queued", "leased", "running"] as const satisfies JobState[];
const ENDED = ["succeeded", "failed", "cancelled"] as const satisfies JobState[];
export const STATES = [...UNFINISHED, ...ENDED] as const;
export const FINAL: ReadonlySet<string> = new Set<JobState>(ENDED);
