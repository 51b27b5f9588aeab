/** A job's state: a shape, a word and a colour, so that any one of them is enough. */

import type { FailureCause, JobState } from "../api/schema";
import { words } from "../format";

const RING = "M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0-12";
const LOOKS: Record<JobState, { color: string; shape: string; dash?: string; word: string }> = {
  queued: { color: "gray", shape: "M4 2h8M4 14h8M5 2v2l3 4l3-4V2M5 14v-2l3-4l3 4v2", word: "Queued" },
  leased: { color: "violet", shape: RING, dash: "3 1.7", word: "Starting" },
  running: { color: "blue", shape: `${RING}M6.6 5.6v4.8l3.9-2.4z`, word: "Running" },
  succeeded: { color: "teal", shape: `${RING}M5.4 8.2l1.9 1.9l3.5-3.9`, word: "Succeeded" },
  failed: { color: "red", shape: `${RING}M6 6l4 4M10 6l-4 4`, word: "Failed" },
  cancelled: { color: "orange", shape: `${RING}M3.8 3.8l8.4 8.4`, word: "Cancelled" },
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

/** Plain, and its shape a single stroke: tables have many, and an icon of the library takes as long as the rest of a row. */
export function StateBadge({ state, cause, size = "md" }: { state: JobState; cause?: FailureCause | null; size?: "xs" | "sm" | "md" | "lg" }) {
  const { color, shape, dash, word } = LOOKS[state];
  return (
    <span className={`badge badge-${size} state state-${color}`} style={{ background: `var(--mantine-color-${color}-light)` }}>
      <svg viewBox="0 0 16 16" aria-hidden>
        <path d={shape} strokeDasharray={dash} />
      </svg>
      {state === "failed" && cause ? `Failed: ${causeName(cause).toLowerCase()}` : word}
    </span>
  );
}
