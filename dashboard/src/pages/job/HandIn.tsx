/** Handing in a run for an assignment, in the place of the one before. */

import { Alert, Button, Select, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { Send } from "lucide-react";
import { useState } from "react";

import { api, data, Refused } from "../../api/client";
import * as queries from "../../api/queries";
import type { AssignmentRead, JobRead, SubmissionRead } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { Empty, Waiting } from "../../components/Feedback";
import { shortId } from "../../components/JobLink";
import { AnchorLink } from "../../components/Links";
import { useAction } from "../../components/useAction";
import { fullTime } from "../../format";

/** What one has handed in; null for nothing yet. */
const handedIn = (id: string) =>
  queryOptions({
    queryKey: ["assignments", id, "submission"],
    queryFn: async ({ signal }): Promise<SubmissionRead | null> => {
      try {
        return await data(
          api.GET("/v1/assignments/{assignment_id}/submission", { params: { path: { assignment_id: id } }, signal }),
        );
      } catch (error) {
        if (error instanceof Refused && error.problem.status === 404) return null;
        throw error;
      }
    },
  });

export function HandIn({ job }: { job: JobRead }) {
  const { data: me } = useQuery(queries.me);
  const [opened, { open, close }] = useDisclosure();
  if (job.state !== "succeeded" || me?.id !== job.owner_id) return null;
  return (
    <>
      <Button variant="default" size="sm" leftSection={<Send size={16} aria-hidden />} onClick={open}>
        Hand in
      </Button>
      <Dialog title="Hand in this run" opened={opened} close={close}>
        <Choose job={job} close={close} />
      </Dialog>
    </>
  );
}

function Choose({ job, close }: { job: JobRead; close: () => void }) {
  const { data: found } = useQuery(queries.assignments);
  const [chosen, choose] = useState<string | null>(null);
  const assignment = found?.items.find((item) => item.id === chosen) ?? found?.items[0];
  const send = useAction(
    (id: string) =>
      data(
        api.POST("/v1/assignments/{assignment_id}/submission", {
          params: { path: { assignment_id: id } },
          body: { job_id: job.id },
        }),
      ),
    (made) => {
      close();
      return made.late ? "Handed in, after the deadline." : "Handed in.";
    },
    true,
  );
  if (found === undefined) return <Waiting />;
  if (assignment === undefined)
    return (
      <Empty title="There is no assignment yet">Your instructor makes one; then a run can be handed in here.</Empty>
    );
  return (
    <Ask action="Hand in" busy={send.isPending} error={send.error} send={() => send.mutate(assignment.id)}>
      <Select
        label="Assignment"
        data={found.items.map((item) => ({ value: item.id, label: item.name }))}
        value={assignment.id}
        onChange={(id) => {
          choose(id);
          send.reset();
        }}
        allowDeselect={false}
        data-autofocus
      />
      {assignment.description !== null && <Text size="sm">{assignment.description}</Text>}
      <Standing assignment={assignment} job={job} />
    </Ask>
  );
}

function Standing({ assignment, job }: { assignment: AssignmentRead; job: JobRead }) {
  const { data: before } = useQuery(handedIn(assignment.id));
  const over = Date.parse(assignment.deadline) < Date.now();
  return (
    <>
      <Text size="sm" c="dimmed">
        {over ? "The deadline was" : "Until"} {fullTime(assignment.deadline)}.
      </Text>
      {before !== undefined && before !== null && (
        <Alert color="gray" variant="light" p="xs">
          {before.job_id === job.id ? (
            "This run is what you have handed in."
          ) : (
            <>
              You have handed in{" "}
              <AnchorLink to="/jobs/$id" params={{ id: before.job_id }} size="sm" underline="always">
                {shortId(before.job_id)}
              </AnchorLink>{" "}
              on {fullTime(before.pinned_at)}
              {over ? "; after the deadline it stays." : "; this run takes its place."}
            </>
          )}
        </Alert>
      )}
    </>
  );
}
