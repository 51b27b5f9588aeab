/** The program from which students begin: open it, run it as it is, or download it. */

import { Button, Group } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { Download, FileCode, Play } from "lucide-react";

import { address } from "../../api/base";
import type { AssignmentRead, StarterRead } from "../../api/schema";
import { submit } from "../../api/submitting";
import { ButtonLink } from "../../components/Links";
import { useAction } from "../../components/useAction";

export function Starter({ assignment, starter }: { assignment: AssignmentRead; starter: StarterRead }) {
  const navigate = useNavigate();
  const sha256 = String(starter.spec["program"]);
  const run = useAction(
    () => submit({ experiment: starter.experiment, spec: starter.spec, name: assignment.name }),
    async (job) => {
      await navigate({ to: "/jobs/$id", params: { id: job.id } });
      return "The starter is in the queue.";
    },
  );
  return (
    <Group gap="xs">
      <ButtonLink
        to="/programs/$sha256"
        params={{ sha256 }}
        size="sm"
        variant="default"
        leftSection={<FileCode size={16} aria-hidden />}
      >
        Open
      </ButtonLink>
      <Button
        size="sm"
        variant="default"
        leftSection={<Play size={16} aria-hidden />}
        loading={run.isPending}
        onClick={() => run.mutate(undefined)}
      >
        Run
      </Button>
      <Button
        component="a"
        href={address(`/v1/programs/${sha256}/archive`)}
        download={`${sha256.slice(0, 8)}.tar`}
        size="sm"
        variant="default"
        leftSection={<Download size={16} aria-hidden />}
      >
        Download
      </Button>
    </Group>
  );
}
