/** The machines, for staff: health, software and data, with a way to drain one. */

import { Button, Card, Group, Stack, Tabs, Text, TextInput, Timeline, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";

import { api, data, done } from "../api/client";
import * as queries from "../api/queries";
import type { NodeRead } from "../api/schema";
import { part } from "../browser/loading";
import { Ask, Dialog } from "../components/Dialog";
import { Facts } from "../components/Facts";
import { Answer, Empty, Failure, Waiting } from "../components/Feedback";
import { NodeBadge } from "../components/State";
import { Ago, useNow } from "../components/Time";
import { useAction } from "../components/useAction";
import { bytes, eventName, fullTime } from "../format";
import { oneOf } from "../search";
import { NODES_TABS } from "../tabs";

const Disk = lazy(() => part(() => import("./nodes/Disk")));
const Errors = lazy(() => part(() => import("./nodes/Errors")));

const History = lazy(async () => ({ default: (await part(() => import("./nodes/History"))).History }));

export function Nodes() {
  const { tab } = useSearch({ from: "/inside/nodes" });
  const navigate = useNavigate({ from: "/nodes" });
  const { data: me } = useQuery(queries.me);
  const isAdmin = me?.role === "admin";
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Machines
      </Title>
      {isAdmin ? (
        <Tabs
          value={tab ?? "machines"}
          onChange={(chosen) => void navigate({ search: { tab: oneOf(chosen, NODES_TABS) }, replace: true })}
          keepMounted={false}
        >
          <Tabs.List mb="md">
            <Tabs.Tab value="machines">Machines</Tabs.Tab>
            <Tabs.Tab value="disk">Disk</Tabs.Tab>
            <Tabs.Tab value="errors">Errors</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="machines">
            <Machines />
          </Tabs.Panel>
          <Suspense>
            <Tabs.Panel value="disk">
              <Disk />
            </Tabs.Panel>
            <Tabs.Panel value="errors">
              <Errors />
            </Tabs.Panel>
          </Suspense>
        </Tabs>
      ) : (
        <Machines />
      )}
    </Stack>
  );
}

function Machines() {
  const query = useQuery(queries.nodes);
  return (
    <Stack gap="md">
      <Answer query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Card>
              <Empty title="No machine has reported yet">
                Start a worker on a machine: <code>python -m worker</code>
              </Empty>
            </Card>
          ) : (
            items.map((node) => <Machine key={node.name} node={node} />)
          )
        }
      </Answer>
    </Stack>
  );
}

function Machine({ node }: { node: NodeRead }) {
  const now = useNow(1000);
  const unhealthy = node.gpus.filter((gpu) => !gpu.healthy);
  return (
    <Card component="section" aria-label={`Machine ${node.name}`}>
      <Stack gap="sm">
        <Group justify="space-between" gap="xs">
          <Group gap="sm">
            <Title order={2} size="h4">
              {node.name}
            </Title>
            <NodeBadge state={node.state} />
            {node.reason && (
              <Text size="sm" c="dimmed">
                {node.reason}
              </Text>
            )}
          </Group>
          <Actions node={node} />
        </Group>
        <Facts
          facts={[
            ["Last heartbeat", <Ago key="heartbeat" moment={node.heartbeat_at} now={now} />],
            ["CPU slots", `${node.slots_used} of ${node.slots} in use`],
            ["GPUs", node.gpus.length > 0 ? String(node.gpus.length) : `none: ${node.gpu_reason ?? "unknown reason"}`],
            [
              "Unhealthy GPUs",
              unhealthy.length === 0
                ? "none"
                : unhealthy.map((gpu) => `${gpu.index}: ${gpu.reason ?? "unknown"}`).join("; "),
            ],
            ["Data sets", node.datasets.join(", ") || "none"],
            [
              "Data sets skipped",
              Object.entries(node.skipped_datasets ?? {})
                .map(([name, reason]) => `${name}: ${reason}`)
                .join("; ") || "none",
            ],
            [
              "Cannot run",
              Object.entries(node.refused_experiments ?? {})
                .map(([name, reason]) => `${name}: ${reason}`)
                .join("; ") || "nothing: it runs every experiment",
            ],
            [
              "Software",
              Object.entries(node.versions)
                .map(([name, version]) => `${name} ${version}`)
                .join(", ") || "unknown",
            ],
          ]}
          columns={{ base: 2, lg: 3 }}
        />
        {node.gpus.map((gpu) => (
          <Text key={gpu.uuid} size="sm" className="numbers break">
            {gpu.index}: {gpu.name}, {bytes(gpu.memory_total_bytes)}{" "}
            <Text span size="xs" c="dimmed" className="mono">
              {gpu.uuid}
            </Text>
            <Text span size="xs" c="dimmed" display="block">
              {gpu.constants
                ? `CUDA context ${bytes(gpu.constants.context_bytes)}, libraries ${bytes(gpu.constants.libraries_bytes)}, measured ${fullTime(gpu.constants.measured_at)}`
                : gpu.constants_reason && `CUDA context not measured: ${gpu.constants_reason}`}
            </Text>
          </Text>
        ))}
        {node.gpus.length > 0 && (
          <Suspense fallback={<Waiting />}>
            <History node={node.name} />
          </Suspense>
        )}
        <Events node={node} />
      </Stack>
    </Card>
  );
}

const SHOWN = 3;

/** Events of the machine, newest first; older ones on demand. */
function Events({ node }: { node: NodeRead }) {
  const query = useQuery({ ...queries.nodeEvents(node.name), refetchInterval: 10_000 });
  const [all, showAll] = useState(false);
  const items = query.data?.items ?? [];
  if (items.length === 0)
    return query.error ? <Failure error={query.error} again={() => void query.refetch()} /> : null;
  const shown = all ? items : items.slice(0, SHOWN);
  return (
    <div className="device">
      <Title order={3} size="h6">
        Events
      </Title>
      <Timeline bulletSize={12} lineWidth={2} aria-label={`History of ${node.name}`}>
        {shown.map((event) => (
          <Timeline.Item key={event.id} title={eventName(event.type)}>
            {event.message !== "" && (
              <Text size="sm" className="break">
                {event.message}
              </Text>
            )}
            <Text size="xs" c="dimmed" className="numbers">
              <time dateTime={event.at}>{fullTime(event.at)}</time>, by {event.actor.replace(/^(user|node):/, "")}
            </Text>
          </Timeline.Item>
        ))}
      </Timeline>
      {items.length > SHOWN && (
        <Button
          size="compact-xs"
          variant="default"
          style={{ justifySelf: "start" }}
          aria-expanded={all}
          onClick={() => showAll(!all)}
        >
          {all ? "Show fewer" : `Show all ${items.length}`}
        </Button>
      )}
    </div>
  );
}

/** What an admin can do with the machine in its state. */
function Actions({ node }: { node: NodeRead }) {
  const { data: me } = useQuery(queries.me);
  const [opened, { open, close }] = useDisclosure();
  const [reason, setReason] = useState("");
  const path = { name: node.name };
  const drain = useAction(
    () => data(api.POST("/v1/nodes/{name}/drain", { params: { path }, body: { reason: reason.trim() || null } })),
    () => {
      close();
      return `Draining ${node.name}: no new jobs start on it.`;
    },
    true,
  );
  const undrain = useAction(
    () => data(api.POST("/v1/nodes/{name}/undrain", { params: { path } })),
    () => `${node.name} accepts jobs as it is now.`,
  );
  const remove = useAction(
    () => done(api.DELETE("/v1/nodes/{name}", { params: { path } })),
    () => `${node.name} is removed.`,
  );
  if (me?.role !== "admin") return null;
  if (node.state === "draining" || node.state === "set_aside") {
    return (
      <Button size="xs" variant="default" loading={undrain.isPending} onClick={() => undrain.mutate(undefined)}>
        Return to service
      </Button>
    );
  }
  if (node.state === "down") {
    return (
      <Button size="xs" variant="default" loading={remove.isPending} onClick={() => remove.mutate(undefined)}>
        Remove from the list
      </Button>
    );
  }
  return (
    <Group gap="xs">
      {node.gpus.some((gpu) => !gpu.healthy) && (
        <Button size="xs" variant="default" loading={undrain.isPending} onClick={() => undrain.mutate(undefined)}>
          Continue without broken GPUs
        </Button>
      )}
      <Button size="xs" variant="default" onClick={open}>
        Drain
      </Button>
      <Dialog title={`Drain ${node.name}`} opened={opened} close={close}>
        <Ask action="Drain" busy={drain.isPending} error={drain.error} send={() => drain.mutate(undefined)}>
          <Text size="sm">No new jobs start on this machine. Running jobs continue to their end.</Text>
          <TextInput
            label="Reason"
            description="Shown to users"
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
            data-autofocus
          />
        </Ask>
      </Dialog>
    </Group>
  );
}
