/** Why a job failed, or why it waits: what it means and what helps. */

import { Alert, List, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { CircleX, Hourglass } from "lucide-react";

import * as queries from "../../api/queries";
import type { FailureCause, JobRead } from "../../api/schema";
import { CAUSE_WORDS } from "../../components/StateBadge";
import { fullTime, sentence } from "../../format";
import { OutOfMemory } from "./OutOfMemory";

const HELP: Partial<Record<FailureCause, string>> = {
  out_of_memory:
    "The run asked for more GPU memory than there was. A smaller batch size, smaller pictures or a lower precision need less; " +
    "gradient accumulation gives the effect of a large batch in the memory of a small one.",
  diverged:
    "A loss became infinite or not a number. A lower learning rate, a warm-up, or another precision usually helps; the curves " +
    "show where it began.",
  error:
    "The program itself failed. The end of the output has the traceback; running the same again would fail in the same way.",
  time_limit: "It was still running when its time was over. Give it a longer limit, or less to do.",
  lost: "The machine or the process vanished more often than the lab tries again. It is no fault of the run; run it again.",
  gpu_fault: "The GPU failed beneath it. It is no fault of the run; run it again, and tell whoever keeps the machines.",
  idle: "It held a GPU and did not use it for longer than the lab allows. Run on the CPU what needs no GPU.",
  limit_exceeded:
    "It took more processes, processor time, disk or output than a program may. The message names the limit; staff can raise it.",
  cannot_fit:
    "No GPU of the lab has the memory that this run is predicted to need. A smaller batch size or model would fit.",
};

export function Outcome({ job }: { job: JobRead }) {
  if (job.state === "failed") {
    const cause = job.cause ?? "error";
    return (
      <>
        <Alert color="red" variant="light" icon={<CircleX aria-hidden />} title={`Failed: ${CAUSE_WORDS[cause]}`}>
          {job.message !== null && (
            <Text size="sm" className="mono break" mb="xs">
              {job.message}
            </Text>
          )}
          <Text size="sm">{HELP[cause]}</Text>
        </Alert>
        {job.failure !== null && <OutOfMemory job={job} failure={job.failure} />}
      </>
    );
  }
  return job.state === "queued" ? <Waits id={job.id} /> : null;
}

function Waits({ id }: { id: string }) {
  const { data: place } = useQuery({ ...queries.queue(id), refetchInterval: 3000 });
  if (place === undefined || place.state !== "queued") return null;
  return (
    <Alert
      color="gray"
      variant="light"
      icon={<Hourglass aria-hidden />}
      title={place.position === 1 ? "Next in line" : `Number ${place.position ?? "?"} in line`}
    >
      <Text size="sm">{sentence(place.explanation)}</Text>
      {place.estimated_start_at !== null && (
        <Text size="sm">Expected to start {fullTime(place.estimated_start_at)}.</Text>
      )}
      {place.would_help.length > 0 && (
        <>
          <Text size="sm" mt="xs">
            What would help:
          </Text>
          <List size="sm">
            {place.would_help.map((words) => (
              <List.Item key={words}>{words.replaceAll("`", "")}</List.Item>
            ))}
          </List>
        </>
      )}
    </Alert>
  );
}
