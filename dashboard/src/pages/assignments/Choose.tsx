/** What the user handed in, and a choice of their runs to hand in. */

import { Alert, Button, Group, Select, Stack, Text } from "@mantine/core";
import { Send } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { AssignmentRead, JobSummary, SubmissionRead } from "../../api/schema";
import { Failure } from "../../components/Feedback";
import { jobName, shortId } from "../../components/JobLink";
import { AnchorLink } from "../../components/Links";
import { useAction } from "../../components/useAction";
import { ago, counted, fullTime, number } from "../../format";
import { isOver, latePolicy } from "./status";

interface ChooseProps {
  assignment: AssignmentRead;
  runs: JobSummary[];
  now: number;
}

export function Choose({ assignment, runs, now }: ChooseProps) {
  const { your_submission: before } = assignment;
  const over = isOver(assignment, now);
  return (
    <Stack gap="xs">
      {before ? <Submitted submission={before} /> : <Text size="sm">You have not handed in a run yet.</Text>}
      {over && before && !before.late ? (
        <Text size="sm" c="dimmed">
          The deadline has passed, so this submission stays.
        </Text>
      ) : (
        <SendOne assignment={assignment} runs={runs} now={now} />
      )}
      <Text size="xs" c="dimmed">
        {latePolicy(assignment)}
        {assignment.answers_after_deadline && " Correct answers are shown when you can no longer hand in."}
      </Text>
    </Stack>
  );
}

function Submitted({ submission }: { submission: SubmissionRead }) {
  const { check } = submission;
  return (
    <Alert color={submission.late ? "orange" : "teal"} variant="light" p="xs">
      <Text size="sm">
        <AnchorLink to="/jobs/$id" params={{ id: submission.job_id }} size="sm" fw={550} underline="always">
          {jobName(submission)}
        </AnchorLink>{" "}
        <span className="mono">{shortId(submission.job_id)}</span>, handed in on {fullTime(submission.pinned_at)}
        {submission.late && `, ${counted(submission.days_late, "day")} late`}
        {submission.deduction > 0 && `, ${number(submission.deduction)} ${submission.deduction_unit} deducted`}.
      </Text>
      {check?.points != null && (
        <Text size="sm">
          {number(check.points)} of {number(check.max_points)} points. {check.words}
        </Text>
      )}
    </Alert>
  );
}

/** Only runs that succeeded can be handed in. */
function SendOne({ assignment, runs, now }: ChooseProps) {
  const { your_submission: before } = assignment;
  const good = runs.filter((run) => run.state === "succeeded").sort(newestFirst);
  const [chosen, choose] = useState<string | null>(null);
  const selected = good.find((run) => run.id === chosen) ?? good[0];
  const send = useAction(
    (id: string) =>
      data(
        api.POST("/v1/assignments/{assignment_id}/submission", {
          params: { path: { assignment_id: assignment.id } },
          body: { job_id: id },
        }),
      ),
    (made) => (made.late ? "Handed in, after the deadline." : "Handed in."),
    true,
  );
  if (selected === undefined) {
    return (
      <Text size="sm" c="dimmed">
        You can hand in a run that succeeded.{" "}
        {runs.length === 0 ? "You have no runs that count yet." : "None of your runs has succeeded yet."}
      </Text>
    );
  }
  const isHandedIn = selected.id === before?.job_id;
  return (
    <Stack gap="xs">
      <Group gap="xs" align="flex-end">
        <Select
          label={before ? "Replace it with" : "Run to hand in"}
          data={grouped(good, assignment, now)}
          value={selected.id}
          onChange={(id) => {
            choose(id);
            send.reset();
          }}
          allowDeselect={false}
          searchable
          w="26rem"
          maw="100%"
        />
        <Button
          size="sm"
          leftSection={<Send size={16} aria-hidden />}
          disabled={isHandedIn}
          loading={send.isPending}
          onClick={() => send.mutate(selected.id)}
        >
          {isHandedIn ? "Handed in" : "Hand in"}
        </Button>
      </Group>
      {send.error && <Failure error={send.error} />}
    </Stack>
  );
}

function newestFirst(a: JobSummary, b: JobSummary): number {
  return Date.parse(b.submitted_at) - Date.parse(a.submitted_at);
}

/** Runs from before the assignment stand apart. */
function grouped(runs: JobSummary[], assignment: AssignmentRead, now: number) {
  const choices = (some: JobSummary[]) => some.map((run) => ({ value: run.id, label: labelOf(run, now) }));
  const created = Date.parse(assignment.created_at);
  const earlier = runs.filter((run) => Date.parse(run.submitted_at) < created);
  if (earlier.length === 0) return choices(runs);
  const since = runs.filter((run) => !earlier.includes(run));
  return [
    { group: "Since the assignment was created", items: choices(since) },
    { group: "Before it was created", items: choices(earlier) },
  ];
}

function labelOf(run: JobSummary, now: number): string {
  const finished = run.finished_at === null ? "" : `, ${ago(run.finished_at, now)}`;
  return `${jobName(run)} (${shortId(run.id)}${finished})`;
}
