/** Hands in a run for an assignment; it replaces the run before. */

import { Alert, Button, Select, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { Send } from "lucide-react";
import { useState, type ReactNode } from "react";

import { api, data, Refused } from "../../api/client";
import * as queries from "../../api/queries";
import type { JobRead, SubmissionRead } from "../../api/schema";
import { now } from "../../browser/clock";
import { Ask, Dialog } from "../../components/Dialog";
import { Empty, Waiting } from "../../components/Feedback";
import { shortId } from "../../components/JobLink";
import { AnchorLink } from "../../components/Links";
import { useAction } from "../../components/useAction";
import { fullTime, setTime } from "../../format";

/** The submission of the user, or null. */
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

export function HandIn({ job, variant }: { job: JobRead; variant: "filled" | "default" }) {
  const { data: me } = useQuery(queries.me);
  const [opened, { open, close }] = useDisclosure();
  if (job.state !== "succeeded" || me?.id !== job.owner_id) return null;
  return (
    <>
      <Button variant={variant} size="sm" leftSection={<Send size={16} aria-hidden />} onClick={open}>
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
  const counting = (found?.items ?? []).filter((item) => item.course_id === job.course_id);
  const assignment = counting.find((item) => item.id === chosen) ?? counting[0];
  const { data: before } = useQuery({ ...handedIn(assignment?.id ?? ""), enabled: assignment !== undefined });
  const due = assignment?.your_deadline ?? assignment?.deadline ?? "";
  const over = Date.parse(due) < now();
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
      <Empty title="No assignments yet">Your instructor creates assignments. Then you can hand in a run here.</Empty>
    );
  return (
    <Ask
      action="Hand in"
      busy={send.isPending}
      ready={before?.job_id !== job.id}
      error={send.error}
      send={() => send.mutate(assignment.id)}
    >
      <Select
        label="Assignment"
        data={counting.map((item) => ({ value: item.id, label: item.name }))}
        value={assignment.id}
        onChange={(id) => {
          choose(id);
          send.reset();
        }}
        allowDeselect={false}
        data-autofocus
      />
      {assignment.description !== null && <Text size="sm">{assignment.description}</Text>}
      <Text size="sm" c="dimmed">
        {over ? "Was due" : "Due"} {setTime(due)}.
      </Text>
      <Submitted before={before} job={job} over={over} />
    </Ask>
  );
}

interface SubmittedProps {
  before: SubmissionRead | null | undefined;
  job: JobRead;
  over: boolean;
}

function Submitted({ before, job, over }: SubmittedProps) {
  if (!before) return null;
  if (before.job_id === job.id) return <Notice>Handed in on {fullTime(before.pinned_at)}.</Notice>;
  return (
    <Notice>
      You handed in{" "}
      <AnchorLink to="/jobs/$id" params={{ id: before.job_id }} size="sm" underline="always">
        {shortId(before.job_id)}
      </AnchorLink>{" "}
      on {fullTime(before.pinned_at)}. {over ? "The deadline has passed, so it stays." : "This run will replace it."}
    </Notice>
  );
}

function Notice({ children }: { children: ReactNode }) {
  return (
    <Alert color="gray" variant="light" p="xs">
      {children}
    </Alert>
  );
}
