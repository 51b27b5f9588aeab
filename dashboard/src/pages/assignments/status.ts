/** How an assignment stands for the user. */

import { Circle, CircleAlert, CircleCheck, Clock } from "lucide-react";

import type { AssignmentRead } from "../../api/schema";
import type { Look } from "../../components/State";
import { counted, number } from "../../format";

const HANDED_IN: Look = { color: "teal", icon: CircleCheck, word: "Handed in" };
const LATE: Look = { color: "orange", icon: Clock, word: "Handed in late" };
const TO_DO: Look = { color: "blue", icon: Circle, word: "Not handed in yet" };
const MISSING: Look = { color: "red", icon: CircleAlert, word: "Nothing handed in" };

/** The user's own deadline, which an extension may have moved. */
export function dueOf({ your_deadline, deadline }: AssignmentRead): string {
  return your_deadline ?? deadline;
}

export function isOver(assignment: AssignmentRead, now: number): boolean {
  return Date.parse(dueOf(assignment)) <= now;
}

export function statusOf(assignment: AssignmentRead, now: number): Look {
  const { your_submission: submission } = assignment;
  if (submission) return submission.late ? LATE : HANDED_IN;
  return isOver(assignment, now) ? MISSING : TO_DO;
}

/** `Late work is accepted for 3 days; each day deducts 10 percent.` */
export function latePolicy({
  late_days: days,
  late_deduction: cost,
  late_deduction_unit: unit,
}: AssignmentRead): string {
  if (days === 0) return "Late work is not accepted.";
  const span = days == null ? "" : ` for ${counted(days, "day")}`;
  return `Late work is accepted${span}${cost ? `; each day deducts ${number(cost)} ${unit}` : ""}.`;
}
