/** Lets students see their grades: says first who has no points. */

import { List, Switch, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";

import { api, data } from "../../api/client";
import type { AssignmentRead, GradeRead } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { Answer } from "../../components/Feedback";
import { useAction } from "../../components/useAction";
import { counted, fullTime, integer } from "../../format";

const PAGE = 200;
const MAX_NAMED = 10;

export function Release({ assignment }: { assignment: AssignmentRead }) {
  const since = assignment.points_released_at ?? null;
  const [opened, { open, close }] = useDisclosure();
  const send = useAction(
    (released: boolean) =>
      data(
        api.PATCH("/v1/assignments/{assignment_id}", {
          params: { path: { assignment_id: assignment.id } },
          body: { points_released: released },
        }),
      ),
    (after) => {
      close();
      return after.points_released_at ? "Students see their grades now." : "Grades are hidden again.";
    },
    opened,
  );
  return (
    <>
      <Switch
        label="Released to students"
        description={since === null ? "Each student sees only their own grade" : `Since ${fullTime(since)}`}
        checked={since !== null}
        disabled={send.isPending}
        onChange={(event) => (event.currentTarget.checked ? open() : send.mutate(false))}
      />
      <Dialog title={`Release the grades of ${assignment.name}`} opened={opened} close={close}>
        <Ask action="Release" busy={send.isPending} error={send.error} send={() => send.mutate(true)}>
          <Points assignment={assignment} />
          <Text size="sm" c="dimmed">
            You can hide the grades again.
          </Text>
        </Ask>
      </Dialog>
    </>
  );
}

function Points({ assignment }: { assignment: AssignmentRead }) {
  const query = useQuery({
    queryKey: ["assignments", assignment.id, "grades", "all"],
    queryFn: ({ signal }) => allOf(assignment.id, signal),
    staleTime: 0,
  });
  return (
    <Answer query={query}>
      {(grades) => {
        const without = grades.filter((one) => one.final_points === null);
        const forgotten = without.filter((one) => one.job_id !== null);
        const nothing = without.length - forgotten.length;
        return (
          <List size="sm">
            <List.Item>
              {counted(grades.length - without.length, "student")} of {integer(grades.length)} with points
            </List.Item>
            {forgotten.length > 0 && (
              <List.Item>
                {integer(forgotten.length)} handed in, without points: {named(forgotten)}
              </List.Item>
            )}
            {nothing > 0 && <List.Item>{integer(nothing)} handed in nothing</List.Item>}
          </List>
        );
      }}
    </Answer>
  );
}

function named(grades: readonly GradeRead[]): string {
  const names = grades.slice(0, MAX_NAMED).map((one) => one.user);
  return names.join(", ") + (grades.length > MAX_NAMED ? ` and ${integer(grades.length - MAX_NAMED)} more` : "");
}

async function allOf(id: string, signal: AbortSignal): Promise<GradeRead[]> {
  const found: GradeRead[] = [];
  let cursor: string | undefined;
  do {
    const page = await data(
      api.GET("/v1/assignments/{assignment_id}/grades", {
        params: { path: { assignment_id: id }, query: { limit: PAGE, cursor } },
        signal,
      }),
    );
    found.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return found;
}
