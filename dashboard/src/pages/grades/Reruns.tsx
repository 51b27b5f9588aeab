/** Runs every submission of an assignment again, and shows how far that is. */

import { Button, Group, Progress, Text } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { RotateCw } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { AssignmentRead, RerunsRead } from "../../api/schema";
import { useAction } from "../../components/useAction";
import { counted } from "../../format";

const POLL_MILLISECONDS = 3_000;

const rerunsOf = (id: string) =>
  queryOptions({
    queryKey: ["assignments", id, "reruns"],
    queryFn: ({ signal }) =>
      data(api.GET("/v1/assignments/{assignment_id}/reruns", { params: { path: { assignment_id: id } }, signal })),
    refetchInterval: ({ state }) => (state.data !== undefined && state.data.waiting > 0 ? POLL_MILLISECONDS : false),
  });

export function Reruns({ assignment }: { assignment: AssignmentRead }) {
  const { data: found } = useQuery(rerunsOf(assignment.id));
  const [queued, setQueued] = useState<number | null>(null);
  const send = useAction(
    () => startAll(assignment.id, setQueued),
    (stopped) => {
      setQueued(null);
      return stopped ?? "All re-runs are queued.";
    },
  );
  if (found === undefined || found.submissions === 0) return null;
  const todo = found.missing + found.failed;
  const ended = found.same + found.different + found.failed;
  return (
    <div>
      <Group gap="sm">
        <Button
          size="xs"
          variant="default"
          leftSection={<RotateCw size={14} aria-hidden />}
          loading={send.isPending}
          disabled={todo === 0}
          onClick={() => send.mutate(undefined)}
        >
          Run all again
        </Button>
        <Text size="sm" c="dimmed" role="status">
          {queued === null ? outcomes(found) : `${queued} queued`}
        </Text>
      </Group>
      {found.waiting > 0 && (
        <Progress
          mt="xs"
          value={(100 * ended) / (ended + found.waiting)}
          aria-label={`${ended} of ${ended + found.waiting} re-runs ended`}
        />
      )}
    </div>
  );
}

function outcomes(found: RerunsRead): string {
  const parts: [number, string][] = [
    [found.same, "the same"],
    [found.different, "different"],
    [found.failed, "failed"],
    [found.waiting, "waiting"],
    [found.missing, "not run again"],
  ];
  const said = parts.flatMap(([count, what]) => (count > 0 ? [`${count} ${what}`] : []));
  return `${counted(found.submissions, "submission")}: ${said.join(", ")}`;
}

/** Part by part; returns why it ended early. */
async function startAll(id: string, progress: (queued: number) => void): Promise<string | null> {
  let queued = 0;
  let after: string | null = null;
  do {
    const part = await nextPart(id, after);
    queued += part.started;
    progress(queued);
    if (part.stopped_by !== null) return `${queued} queued, ${part.remaining} left: ${part.stopped_by}`;
    after = part.next_after;
  } while (after !== null);
  return null;
}

function nextPart(id: string, after: string | null) {
  const path = { assignment_id: id };
  return data(
    api.POST("/v1/assignments/{assignment_id}/reruns", { params: { path }, body: { everyone: false, after } }),
  );
}
