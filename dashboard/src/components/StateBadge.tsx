/** A job's state: a shape, a word and a colour, so that any one of them is enough. */

import { Ban, CircleCheck, CircleDashed, CirclePlay, CircleX, Hourglass, type LucideIcon } from "lucide-react";

import type { FailureCause, JobState } from "../api/schema";

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

/** As within a line; the terminal uses the same. */
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

/** Plain, since tables have many. */
export function StateBadge({
  state,
  cause,
  size = "md",
}: {
  state: JobState;
  cause?: FailureCause | null;
  size?: "xs" | "sm" | "md" | "lg";
}) {
  const { color, icon: Icon, word } = LOOKS[state];
  return (
    <span
      className={`badge badge-${size} state state-${color}`}
      style={{ background: `var(--mantine-color-${color}-light)` }}
    >
      <Icon size={13} aria-hidden />
      {state === "failed" && cause ? `Failed: ${CAUSE_WORDS[cause]}` : word}
    </span>
  );
}
