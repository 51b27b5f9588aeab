/** The words and the filters of the audit log. */

import { words } from "../../format";

/** What can be chosen; a test compares it with what the lab records. */
export const ACTIONS = {
  changes: [
    "assignment.changed",
    "assignment.created",
    "assignment.extended",
    "assignment.extension_ended",
    "assignment.students_checked",
    "assignment.students_extended",
    "assignment.students_messaged",
    "assignment.waiting_runs_cancelled",
    "banner.created",
    "banner.ended",
    "course.changed",
    "course.created",
    "course.member_added",
    "course.member_removed",
    "grade.given",
    "grade.removed",
    "job.cancel_requested",
    "job.changed",
    "job.deleted",
    "job.note_changed",
    "job.retried",
    "job.shared",
    "lab_hours.cancelled",
    "lab_hours.changed",
    "lab_hours.created",
    "node.drained",
    "node.removed",
    "node.token_made",
    "node.token_revoked",
    "node.undrained",
    "notifications.changed",
    "notifications.tested",
    "program.uploaded",
    "study.cancel_requested",
    "study.deleted",
    "study.retried",
    "study.seeds_added",
    "study.shared",
    "submission.all_rerun",
    "submission.checked",
    "submission.pinned",
    "submission.rerun",
    "token.created",
    "token.revoked",
    "user.anonymised",
    "user.changed",
    "user.created",
    "user.deleted",
    "user.disabled",
    "user.enabled",
    "user.exported",
    "user.linked",
  ],
  "sign-ins": ["session.opened", "session.ended", "session.refused"],
};

const SESSIONS: Record<string, string> = {
  "session.opened": "Signed in",
  "session.ended": "Signed out",
  "session.refused": "Sign-in refused",
};

/** `user.created` as `User created`. */
export function actionWords(action: string): string {
  return SESSIONS[action] ?? words(action.replace(".", " "));
}

/** `user:Sam` as `Sam`; others are no users. */
export function personOf(actor: string): string {
  return actor.startsWith("user:") ? actor.slice("user:".length) : words(actor);
}

/** What the lab calls the person with this name. */
export function actorOf(person: string): string {
  const lower = person.toLowerCase();
  return lower === "operator" || lower === "anonymous" ? lower : `user:${person}`;
}

/** The start of a day of the reader, such as `2030-01-31`, for the lab; none for text that is no day. */
export function startOfDay(day: string, later = 0): string | undefined {
  const parts = /^(\d{4,6})-(\d\d)-(\d\d)$/.exec(day);
  if (parts === null) return undefined;
  const [year, month, date] = parts.slice(1).map(Number) as [number, number, number];
  const moment = new Date(year, month - 1, date + later);
  return year > 9000 || year < 1000 ? undefined : moment.toISOString();
}

export function dayAfter(day: string): string | undefined {
  return startOfDay(day, 1);
}
