/** How an assignment stands for the user. */

import { Circle, CircleAlert, CircleCheck, Clock } from "lucide-react";

import type { AssignmentRead } from "../../api/schema";
import type { Look } from "../../components/State";

const HANDED_IN: Look = { color: "teal", icon: CircleCheck, word: "Handed in" };
const LATE: Look = { color: "orange", icon: Clock, word: "Handed in late" };
const TO_DO: Look = { color: "blue", icon: Circle, word: "Not handed in yet" };
const MISSING: Look = { color: "red", icon: CircleAlert, word: "Nothing handed in" };

export function statusOf({ your_submission: submission, deadline }: AssignmentRead, now: number): Look {
  if (submission) return submission.late ? LATE : HANDED_IN;
  return Date.parse(deadline) > now ? TO_DO : MISSING;
}
