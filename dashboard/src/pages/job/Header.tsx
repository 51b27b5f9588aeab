import { Badge, Button, Group, Progress, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CircleStop, Pencil, RotateCcw } from "lucide-react";
import type { ReactNode } from "react";

import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import type { FailureCause, JobRead } from "../../api/schema";
import { Facts } from "../../components/Facts";
import { jobName, shortId } from "../../components/JobLink";
import { AnchorLink, ButtonLink } from "../../components/Links";
import { Share } from "../../components/Share";
import { JobBadge } from "../../components/State";
import { Ago, useNow } from "../../components/Time";
import { useAction } from "../../components/useAction";
import { bytes, counted, duration, percent, secondsBetween, tally } from "../../format";
import { Predicted } from "../submit/Predicted";
import { DeleteRuns } from "../personal/DeleteRuns";
import { AddNote } from "../personal/Note";
import { EditLabels } from "./EditLabels";
import { HandIn } from "./HandIn";
import { FINAL } from "../../api/states";

/** Who, where and how long. */
export function JobFacts({ job }: { job: JobRead }) {
  const now = useNow(1000);
  const facts: [string, ReactNode][] = [
    ["Submitted", <Ago key="submitted" moment={job.submitted_at} now={now} />],
    ["Owner", job.owner],
    [
      job.state === "queued" ? "Waiting for" : FINAL.has(job.state) ? "Duration" : "Running for",
      duration(secondsBetween(job.state === "queued" ? job.submitted_at : job.started_at, job.finished_at, now)),
    ],
    [
      "Machine",
      job.node === null
        ? "not assigned yet"
        : `${job.node}, ${tally(job.gpu_names) || (job.gpu_uuids.length > 0 ? counted(job.gpu_uuids.length, "GPU") : "CPU")}`,
    ],
    ["Seed", String(job.seed)],
    ["Attempt", job.attempt === 0 ? "none yet" : String(job.attempt)],
  ];
  if (job.gpu_memory_bytes !== null) facts.push(["Reserved", `${bytes(job.gpu_memory_bytes)} per GPU`]);
  if (job.estimate) facts.push(["Predicted", <Predicted key="predicted" estimate={job.estimate} />]);
  if (job.priority !== "normal") facts.push(["Priority", job.priority]);
  if (job.retry_of !== null) {
    facts.push([
      "Retry of",
      <AnchorLink key="retry" to="/jobs/$id" params={{ id: job.retry_of }} size="sm">
        {shortId(job.retry_of)}
      </AnchorLink>,
    ]);
  }
  return <Facts facts={facts} columns={{ base: 2, sm: 3, lg: Math.min(Math.max(facts.length, 6), 8) }} />;
}

export function Header({ job }: { job: JobRead }) {
  const { data: catalogue } = useQuery(queries.experiments);
  const title = catalogue?.items.find((entry) => entry.slug === job.experiment)?.title;
  return (
    <Stack gap="sm">
      <Group justify="space-between" gap="sm" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Group gap="sm">
            <Title order={1} size="h2" className="break">
              {jobName(job)}
            </Title>
            <span aria-live="polite">
              <JobBadge state={job.state} cause={job.cause} size="lg" />
            </span>
          </Group>
          <Group gap={8} mt={2}>
            <Text size="sm" c="dimmed">
              {title ?? job.experiment}
            </Text>
            <Text size="xs" c="dimmed" className="mono" title={job.id}>
              {shortId(job.id)}
            </Text>
            {job.tags.map((tag) => (
              <Badge key={tag} variant="default" size="sm" tt="none">
                {tag}
              </Badge>
            ))}
            <EditLabels job={job} />
            <AddNote job={job} />
          </Group>
        </div>
        <Actions job={job} />
      </Group>
      {job.progress !== null && !FINAL.has(job.state) && (
        <div>
          <Group justify="space-between" mb={4}>
            <Text size="sm">{job.progress.message}</Text>
            <Text size="sm" className="numbers">
              {percent(100 * job.progress.fraction)}
            </Text>
          </Group>
          <Progress value={100 * job.progress.fraction} size="lg" aria-label="Progress" animated />
        </div>
      )}
    </Stack>
  );
}

function Actions({ job }: { job: JobRead }) {
  const navigate = useNavigate();
  const { data: me } = useQuery(queries.me);
  const { data: assignments } = useQuery({ ...queries.assignments, enabled: job.state === "succeeded" });
  const at = { params: { path: { job_id: job.id } } };
  const cancel = useAction(
    () => data(api.POST("/v1/jobs/{job_id}/cancel", at)),
    (after) => (after.state === "cancelled" ? "Cancelled." : "Stopping. The run may save a checkpoint first."),
  );
  const retry = useAction(
    () => data(api.POST("/v1/jobs/{job_id}/retry", at)),
    async (made) => {
      await navigate({ to: "/jobs/$id", params: { id: made.id } });
      return "Submitted again.";
    },
  );
  const share = (
    <Share
      owner={job.owner_id ?? null}
      audience={job.shared_with ?? null}
      share={(audience) => data(api.POST("/v1/jobs/{job_id}/share", { ...at, body: { audience } }))}
    />
  );
  if (FINAL.has(job.state)) {
    const counts = assignments?.items.some((item) => item.course_id === job.course_id) ?? false;
    const main = mainAction(job, me?.id === job.owner_id && counts);
    const look = (action: typeof main) => (action === main ? "filled" : "default");
    return (
      <Group gap="xs">
        <HandIn job={job} variant={look("hand in")} />
        {share}
        {job.program ? (
          <ButtonLink
            variant={look("change")}
            size="sm"
            leftSection={<Pencil size={16} aria-hidden />}
            to="/programs/$sha256"
            params={{ sha256: job.program.sha256 }}
            search={{ from: job.id }}
          >
            Run again with changes
          </ButtonLink>
        ) : (
          <ButtonLink
            variant={look("change")}
            size="sm"
            leftSection={<Pencil size={16} aria-hidden />}
            to="/submit"
            search={{ from: job.id }}
          >
            Run again with changes
          </ButtonLink>
        )}
        <Button
          variant={look("repeat")}
          size="sm"
          leftSection={<RotateCcw size={16} aria-hidden />}
          loading={retry.isPending}
          onClick={() => retry.mutate(undefined)}
        >
          Run again
        </Button>
        {me !== undefined && (me.id === job.owner_id || me.teaches) && (
          <DeleteRuns ids={[job.id]} size="sm" done={() => void navigate({ to: "/jobs" })} />
        )}
      </Group>
    );
  }
  return (
    <Group gap="xs">
      {share}
      <Button
        variant="default"
        size="sm"
        leftSection={<CircleStop size={16} aria-hidden />}
        loading={cancel.isPending}
        disabled={job.cancel_requested_at !== null}
        onClick={() => cancel.mutate(undefined)}
      >
        {job.cancel_requested_at === null ? "Cancel" : "Stopping"}
      </Button>
    </Group>
  );
}

/** A run that was lost is at no fault: the same run again may succeed. */
const REPEATABLE: readonly (FailureCause | null)[] = ["lost", "gpu_fault"];

/** The one action that a finished run asks for. */
function mainAction(job: JobRead, canHandIn: boolean): "hand in" | "change" | "repeat" {
  if (job.state === "succeeded" && canHandIn) return "hand in";
  return job.state === "cancelled" || REPEATABLE.includes(job.cause) ? "repeat" : "change";
}
