/** States of jobs, studies, machines, students and tokens: a shape, a word and a colour, so that any one of them is enough. */

import {
  Ban,
  Circle,
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleHelp,
  CirclePause,
  CirclePlay,
  CircleX,
  Clock,
  Hourglass,
  Scissors,
  TriangleAlert,
  type LucideIcon,
} from "lucide-react";

import type { FailureCause, JobState, NodeState, StandingRead, StudySummary } from "../api/schema";
import { CAUSE_WORDS, STATE_WORDS } from "../api/states";

export interface Look {
  color: "gray" | "violet" | "blue" | "teal" | "red" | "orange";
  icon: LucideIcon;
  word: string;
}

const JOB: Record<JobState, Look> = {
  queued: { color: "gray", icon: Hourglass, word: STATE_WORDS.queued },
  leased: { color: "violet", icon: CircleDashed, word: STATE_WORDS.leased },
  running: { color: "blue", icon: CirclePlay, word: STATE_WORDS.running },
  succeeded: { color: "teal", icon: CircleCheck, word: STATE_WORDS.succeeded },
  failed: { color: "red", icon: CircleX, word: STATE_WORDS.failed },
  cancelled: { color: "orange", icon: Ban, word: STATE_WORDS.cancelled },
};

export const STUDY: Record<StudySummary["state"], Look> = { ...JOB, failed: { ...JOB.failed, word: "Some failed" } };

const NODE: Record<NodeState, Look> = {
  up: { color: "teal", icon: CircleCheck, word: "Up" },
  draining: { color: "orange", icon: CirclePause, word: "Draining" },
  set_aside: { color: "orange", icon: TriangleAlert, word: "Set aside" },
  down: { color: "red", icon: CircleAlert, word: "Down" },
};

export const STUDENT: Record<StandingRead["state"], Look> = {
  stuck: { color: "red", icon: CircleX, word: "Stuck" },
  working: { color: "blue", icon: Hourglass, word: "Working" },
  not_started: { color: "gray", icon: Circle, word: "Not started" },
  good_run: { color: "violet", icon: CirclePlay, word: "Has a good run" },
  late: { color: "orange", icon: Clock, word: "Handed in late" },
  handed_in: { color: "teal", icon: CircleCheck, word: "Handed in" },
};

export const TOKEN = {
  revoked: { color: "gray", icon: CircleX, word: "Revoked" },
  expired: { color: "orange", icon: Clock, word: "Expired" },
  valid: { color: "teal", icon: CircleCheck, word: "Valid" },
} satisfies Record<string, Look>;

export const FIT = {
  fits: { color: "teal", icon: CircleCheck, word: "Fits" },
  fits_up_to: { color: "orange", icon: Scissors, word: "Too large" },
  cannot_fit: { color: "red", icon: CircleX, word: "Cannot fit" },
  not_predicted: { color: "gray", icon: CircleHelp, word: "Not predicted" },
} satisfies Record<string, Look>;

/** The verdict of a memory prediction, which the API sends as text. */
export function fitLook(verdict: string): Look {
  return (FIT as Record<string, Look>)[verdict] ?? FIT.not_predicted;
}

export const UNHEALTHY: Look = { color: "red", icon: CircleAlert, word: "Unhealthy" };

type Size = "xs" | "sm" | "md" | "lg";

/** Plain elements, since tables have many of them. */
export function State({ look, size = "md", text }: { look: Look; size?: Size; text?: string }) {
  const { color, icon: Icon, word } = look;
  return (
    <span
      className={`badge badge-${size} state state-${color}`}
      style={{ background: `var(--mantine-color-${color}-light)` }}
    >
      <Icon size={13} aria-hidden />
      {text ?? word}
    </span>
  );
}

export function JobBadge({ state, cause, size }: { state: JobState; cause?: FailureCause | null; size?: Size }) {
  const text = state === "failed" && cause ? `${JOB.failed.word}: ${CAUSE_WORDS[cause]}` : undefined;
  return <State look={JOB[state]} size={size} text={text} />;
}

export function NodeBadge({ state }: { state: NodeState }) {
  return <State look={NODE[state]} />;
}
