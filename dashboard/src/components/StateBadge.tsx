/** A job's state: a shape, a word and a colour, so that any one of them is enough. */

import { Ban, CircleCheck, CircleDashed, CirclePlay, CircleX, Hourglass, type LucideIcon } from "lucide-react";

import type { FailureCause, JobState } from "../api/schema";
import { words } from "../format";

const LOOKS: Record<JobState, { color: string; icon: LucideIcon; word: string }> = {
  queued: { color: "gray", icon: Hourglass, word: "Queued" },
  leased: { color: "violet", icon: CircleDashed, word: "Starting" },
  running: { color: "blue", icon: CirclePlay, word: "Running" },
  succeeded: { color: "teal", icon: CircleCheck, word: "Succeeded" },
  failed: { color: "red", icon: CircleX, word: "Failed" },
  cancelled: { color: "orange", icon: Ban, word: "Cancelled" },
};

export const STATE_WORDS: Record<JobState, string> = Object.fromEntries(
  Object.entries(LOOKS).map(([state, look]) => [state, look.word]),
) as Record<JobState, string>;

/** The causes that have a better name than their own. */
const CAUSES: Partial<Record<FailureCause, string>> = {
  idle: "Idle GPU",
  out_of_memory: "Out of memory",
  diverged: "Diverged",
  error: "Error",
  time_limit: "Time limit",
  lost: "Lost",
  gpu_fault: "GPU fault",
  cannot_fit: "Cannot fit",
};

export function causeName(cause: FailureCause): string {
  return CAUSES[cause] ?? words(cause);
}

/** Plain, since tables have many. */
export function StateBadge({ state, cause, size = "md" }: { state: JobState; cause?: FailureCause | null; size?: "xs" | "sm" | "md" | "lg" }) {
  const { color, icon: Icon, word } = LOOKS[state];
  return (
    <span className={`badge badge-${size} state state-${color}`} style={{ background: `var(--mantine-color-${color}-light)` }}>
      <Icon size={13} aria-hidden />
      {state === "failed" && cause ? `Failed: ${causeName(cause).toLowerCase()}` : word}
    </span>
  );
}
