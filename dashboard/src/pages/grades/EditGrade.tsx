/** Grades one student by hand: points or rubric lines, and a comment; shows what was given before. */

import { ActionIcon, Button, Group, NumberInput, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";

import { api, data, done } from "../../api/client";
import type { AssignmentRead, GradeChangeRead, GradeRead } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { useAction } from "../../components/useAction";
import { fullTime, number } from "../../format";

interface EditProps {
  assignment: AssignmentRead;
  grade: GradeRead | null;
  close: () => void;
}

const detailOf = (assignmentId: string, userId: string) =>
  queryOptions({
    queryKey: ["assignments", assignmentId, "grades", userId],
    queryFn: ({ signal }) =>
      data(
        api.GET("/v1/assignments/{assignment_id}/grades/{user_id}", {
          params: { path: { assignment_id: assignmentId, user_id: userId } },
          signal,
        }),
      ),
  });

export function EditGrade({ assignment, grade, close }: EditProps) {
  return (
    <Dialog title={`Grade ${grade?.user ?? ""}`} opened={grade !== null} close={close} size="lg">
      {grade !== null && <Form key={grade.user_id} assignment={assignment} grade={grade} close={close} />}
    </Dialog>
  );
}

interface Line {
  text: string;
  points: number | string;
}

function Form({ assignment, grade, close }: EditProps & { grade: GradeRead }) {
  const byHand = grade.sources?.find((one) => one.source === "hand");
  const [points, setPoints] = useState<number | string>(byHand?.points ?? "");
  const [comment, setComment] = useState(grade.comment ?? "");
  const [lines, setLines] = useState<Line[]>(grade.rubric);
  const path = { assignment_id: assignment.id, user_id: grade.user_id };
  const send = useAction(
    () =>
      data(
        api.PUT("/v1/assignments/{assignment_id}/grades/{user_id}", {
          params: { path },
          body: {
            points: lines.length > 0 || points === "" ? null : Number(points),
            comment: comment.trim() || null,
            rubric: lines.map((line) => ({ text: line.text.trim(), points: Number(line.points) })),
          },
        }),
      ),
    () => finish(`Graded ${grade.user}.`),
    true,
  );
  const remove = useAction(
    () => done(api.DELETE("/v1/assignments/{assignment_id}/grades/{user_id}", { params: { path } })),
    () => finish(`Removed the manual grade of ${grade.user}.`),
  );
  function finish(said: string): string {
    close();
    return said;
  }
  const complete = lines.every((line) => line.text.trim() !== "" && line.points !== "");
  const given = lines.length > 0 || points !== "" || comment.trim() !== "";
  const missing = complete ? null : "Each rubric line needs a text and points.";
  return (
    <Ask
      action="Save"
      busy={send.isPending}
      missing={given ? missing : "Enter points, a rubric line or a comment."}
      error={send.error}
      send={() => send.mutate(undefined)}
    >
      {lines.length === 0 ? (
        <NumberInput
          label="Points"
          description={limitOf(assignment)}
          min={0}
          max={assignment.max_points ?? undefined}
          value={points}
          onChange={setPoints}
          data-autofocus
        />
      ) : (
        <Text size="sm" className="numbers">
          {number(lines.reduce((sum, line) => sum + Number(line.points), 0))} points, the sum of the rubric lines
        </Text>
      )}
      <RubricLines lines={lines} setLines={setLines} />
      <Textarea
        label="Comment"
        description="The student sees it after the release"
        autosize
        minRows={2}
        maxRows={8}
        maxLength={5000}
        value={comment}
        onChange={(event) => setComment(event.currentTarget.value)}
      />
      {byHand !== undefined && (
        <Button
          variant="subtle"
          color="red"
          size="xs"
          style={{ alignSelf: "flex-start" }}
          loading={remove.isPending}
          onClick={() => remove.mutate(undefined)}
        >
          Remove the manual grade
        </Button>
      )}
      <History assignment={assignment} grade={grade} />
    </Ask>
  );
}

function limitOf({ max_points: most }: AssignmentRead): string {
  const range = most == null ? "At least 0" : `0 to ${number(most)}`;
  return `${range}, before the late policy. Empty: those of the check or the re-run`;
}

function RubricLines({ lines, setLines }: { lines: Line[]; setLines: (lines: Line[]) => void }) {
  const change = (at: number, line: Line) => setLines(lines.map((one, i) => (i === at ? line : one)));
  return (
    <Stack gap="xs">
      {lines.map((line, i) => (
        <Group key={i} gap="xs" wrap="nowrap">
          <TextInput
            aria-label={`Rubric line ${i + 1}`}
            placeholder="Plots"
            maxLength={200}
            value={line.text}
            onChange={(event) => change(i, { ...line, text: event.currentTarget.value })}
            style={{ flex: 1 }}
          />
          <NumberInput
            aria-label={`Points of rubric line ${i + 1}`}
            value={line.points}
            onChange={(points) => change(i, { ...line, points })}
            w={90}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={`Remove rubric line ${i + 1}`}
            onClick={() => setLines(lines.filter((_, place) => place !== i))}
          >
            <Trash2 size={16} aria-hidden />
          </ActionIcon>
        </Group>
      ))}
      <Button
        variant="default"
        size="xs"
        leftSection={<Plus size={14} aria-hidden />}
        style={{ alignSelf: "flex-start" }}
        onClick={() => setLines([...lines, { text: "", points: "" }])}
      >
        Rubric line
      </Button>
    </Stack>
  );
}

function History({ assignment, grade }: { assignment: AssignmentRead; grade: GradeRead }) {
  const { data: found } = useQuery(detailOf(assignment.id, grade.user_id));
  if (found === undefined || found.history.length === 0) return null;
  return (
    <div>
      <Text size="sm" fw={600}>
        By hand so far
      </Text>
      {found.history.map((one, i) => (
        <Text key={i} size="xs" c="dimmed" className="break">
          {fullTime(one.at)}, {one.by}: {given(one)}
        </Text>
      ))}
    </div>
  );
}

function given({ removed, points, comment, from_table: table }: GradeChangeRead): string {
  if (removed) return "taken back";
  const parts = [points === null ? null : `${number(points)} points`, comment, table ? "from a table" : null];
  return parts.filter((part) => part !== null).join(", ");
}
