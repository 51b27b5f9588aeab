/** Why a job failed or waits, and what helps. */

import { Alert, List, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { CircleX, Hourglass } from "lucide-react";

import * as queries from "../../api/queries";
import type { FailureCause, JobRead } from "../../api/schema";
import { CAUSE_WORDS } from "../../api/states";
import { fullTime, sentence } from "../../format";
import { OutOfMemory } from "./OutOfMemory";

const HELP: Record<FailureCause, string> = {
  out_of_memory:
    "The run needed more GPU memory than it could get. A smaller batch size, smaller images or a lower precision need less. " +
    "Gradient accumulation gives the effect of a large batch with the memory of a small one.",
  diverged:
    "A loss became infinite or NaN. A lower learning rate, a warm-up or another precision usually helps. The curves show " +
    "where it started.",
  error: "The code of the run failed. The traceback is at the end of the output. The same run would fail again.",
  time_limit: "The run reached its time limit. Set a longer limit, or make the run shorter.",
  lost: "The machine or the process was lost too often. The run is not at fault: run it again.",
  gpu_fault: "The GPU failed. This is not the fault of your run: run it again, and tell your instructor.",
  idle: "The run reserved a GPU but did not use it. Run it on the CPU if it needs no GPU.",
  limit_exceeded:
    "The program reached its limit of processes, CPU time, disk or output. The message names the limit. Staff can raise it.",
  cannot_fit: "No GPU of the lab has enough memory for this run. A smaller batch size or model needs less.",
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
        {(cause === "out_of_memory" || cause === "cannot_fit" || job.failure !== null) && <OutOfMemory job={job} />}
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
      title={
        place.position === null
          ? "In the queue"
          : place.position === 1
            ? "Next in the queue"
            : `Number ${place.position} in the queue`
      }
    >
      <Text size="sm">{sentence(place.explanation)}</Text>
      {place.estimated_start_at !== null && (
        <Text size="sm">Expected start: {fullTime(place.estimated_start_at)}.</Text>
      )}
      {place.would_help.length > 0 && (
        <>
          <Text size="sm" mt="xs">
            What helps:
          </Text>
          <List size="sm">
            {place.would_help.map((advice) => (
              <List.Item key={advice}>{sentence(advice.replaceAll("`", ""))}</List.Item>
            ))}
          </List>
        </>
      )}
    </Alert>
  );
}
