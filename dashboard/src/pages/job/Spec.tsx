/** The spec and the options of a job, with the software that it ran on. */

import { Button, Card, Group, SimpleGrid, Stack, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Check, Copy } from "lucide-react";

import { CopyButton } from "../../browser/CopyButton";
import { writeJson } from "../../api/exact";
import * as queries from "../../api/queries";
import type { JobRead } from "../../api/schema";
import { Fields, inOrder } from "../../components/Facts";
import { duration, tally } from "../../format";

export function Spec({ job }: { job: JobRead }) {
  const { data: experiment } = useQuery(queries.experiment(job.experiment));
  const order = { experiment: job.experiment, spec: job.spec, seed: job.seed, tags: job.tags };
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }}>
      <Card>
        <Stack gap="sm">
          <Group justify="space-between">
            <Title order={2} size="h4">
              Spec
            </Title>
            <CopyButton value={writeJson(order, 2)}>
              {({ copied, copy }) => (
                <Button
                  size="xs"
                  variant="default"
                  onClick={copy}
                  leftSection={copied ? <Check size={15} aria-hidden /> : <Copy size={15} aria-hidden />}
                >
                  {copied ? "Copied" : "Copy as JSON"}
                </Button>
              )}
            </CopyButton>
          </Group>
          <Fields of={inOrder(job.spec, experiment?.spec_schema)} label="Spec" schema={experiment?.spec_schema} />
        </Stack>
      </Card>
      <Card>
        <Title order={2} size="h4" mb="sm">
          Job options
        </Title>
        <Fields
          label="Job options"
          of={{
            experiment: job.experiment,
            seed: job.seed,
            time_limit: duration(job.time_limit_seconds),
            priority: job.priority,
            gpus: job.gpus,
            exclusive: job.exclusive,
            data_sets: job.datasets.join(", ") || "none",
            device: job.device,
            gpu: tally(job.gpu_names) || null,
            gpu_uuid: job.gpu_uuids.join(", ") || null,
            ...job.versions,
          }}
        />
      </Card>
    </SimpleGrid>
  );
}
