/** The fields for a deadline later than an assignment's own, and why. */

import { TextInput } from "@mantine/core";
import { useState } from "react";

import type { AssignmentRead } from "../../api/schema";
import { instant, isTime, local, TIME_FIELD } from "../../entered-time";
import { setTime } from "../../format";

export function useLaterDeadline(assignment: AssignmentRead) {
  const [deadline, setDeadline] = useState(local(new Date(assignment.deadline)));
  const [reason, setReason] = useState("");
  const isLater = isTime(deadline) && Date.parse(instant(deadline)) > Date.parse(assignment.deadline);
  const fields = (
    <>
      <TextInput
        label="Deadline"
        description={isLater ? `In your time zone: ${setTime(instant(deadline))}` : "Later than that of the assignment"}
        {...TIME_FIELD}
        value={deadline}
        onChange={(event) => setDeadline(event.currentTarget.value)}
      />
      <TextInput
        label="Reason"
        description="Optional; only staff can see it"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
      />
    </>
  );
  return {
    fields,
    /** What the deadline lacks, in words. */
    missing: isLater ? null : "Choose a deadline later than that of the assignment.",
    body: () => ({ deadline: instant(deadline), reason: reason.trim() || null }),
    clearReason: () => setReason(""),
  };
}
