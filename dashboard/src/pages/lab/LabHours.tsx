/** When GPUs are kept free for a class. Staff set, change and cancel it; students see the times. */

import { ActionIcon, Badge, Button, Card, Group, Table, Text, Title, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { CalendarX, Pencil, Plus, Trash2 } from "lucide-react";
import { lazy, Suspense, useState } from "react";

import { api, data, done } from "../../api/client";
import * as queries from "../../api/queries";
import type { LabHoursRead, NodeRead } from "../../api/schema";
import { part } from "../../browser/loading";
import { Dialog } from "../../components/Dialog";
import { Ago, useNow } from "../../components/Time";
import { useAction } from "../../components/useAction";
import { counted, fullTime } from "../../format";

const LabHoursForm = lazy(async () => ({ default: (await part(() => import("./LabHoursForm"))).LabHoursForm }));

export function LabHours({ nodes }: { nodes: NodeRead[] }) {
  const { data: found } = useQuery(queries.labHours);
  const { data: me } = useQuery(queries.me);
  const isStaff = me !== undefined && me.teaches;
  const [opened, { open, close }] = useDisclosure();
  const [chosen, choose] = useState<LabHoursRead | null>(null);
  const hasGpus = nodes.some((node) => node.gpus.length > 0);
  if (found === undefined || (found.items.length === 0 && !(isStaff && hasGpus))) return null;
  function edit(hours: LabHoursRead | null) {
    choose(hours);
    open();
  }
  return (
    <Card component="section" aria-labelledby="lab-hours">
      <Group justify="space-between" gap="xs" mb="xs">
        <Title order={2} size="h4" id="lab-hours">
          Lab hours
        </Title>
        {isStaff && (
          <Button size="xs" variant="default" leftSection={<Plus size={14} aria-hidden />} onClick={() => edit(null)}>
            Keep GPUs free
          </Button>
        )}
      </Group>
      {found.items.length === 0 ? (
        <Text size="sm" c="dimmed">
          No lab hours. Staff can keep GPUs free for a section, an assignment or users, such as each Monday from 10 to
          12.
        </Text>
      ) : (
        <Table.ScrollContainer minWidth={280}>
          <Table verticalSpacing={6} className="flush">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Lab hours</Table.Th>
                <Table.Th>Kept</Table.Th>
                <Table.Th>Next</Table.Th>
                <Table.Th visibleFrom="sm">When</Table.Th>
                {isStaff && <Table.Th aria-label="Actions" />}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {found.items.map((hours) => (
                <Row key={hours.id} hours={hours} edit={isStaff ? () => edit(hours) : null} />
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      <Dialog title={chosen === null ? "Keep GPUs free" : `Edit ${chosen.name}`} opened={opened} close={close}>
        <Suspense>
          <LabHoursForm key={chosen?.id} before={chosen} nodes={nodes} done={close} />
        </Suspense>
      </Dialog>
    </Card>
  );
}

function Row({ hours, edit }: { hours: LabHoursRead; edit: (() => void) | null }) {
  const now = useNow(30_000);
  const next = hours.next[0]!;
  const underWay = Date.parse(next.start) <= now;
  return (
    <Table.Tr>
      <Table.Td>
        {hours.name ?? "Another class"}{" "}
        {edit === null && hours.yours && (
          <Badge size="xs" variant="light">
            yours
          </Badge>
        )}
        <Text size="xs" c="dimmed">
          {audience(hours)}
        </Text>
      </Table.Td>
      <Table.Td className="numbers">{kept(hours)}</Table.Td>
      <Table.Td className="numbers" title={fullTime(next.start)}>
        {underWay ? "now" : <Ago moment={next.start} now={now} />}
      </Table.Td>
      <Table.Td visibleFrom="sm">{hours.when}</Table.Td>
      {edit !== null && (
        <Table.Td>
          <Actions hours={hours} edit={edit} />
        </Table.Td>
      )}
    </Table.Tr>
  );
}

function Actions({ hours, edit }: { hours: LabHoursRead; edit: () => void }) {
  const path = { lab_hours_id: hours.id };
  const cancel = useAction(
    () => done(api.DELETE("/v1/lab-hours/{lab_hours_id}", { params: { path } })),
    () => `Cancelled ${hours.name}.`,
  );
  const day = hours.next[0]!.day;
  const skip = useAction(
    () =>
      data(
        api.PATCH("/v1/lab-hours/{lab_hours_id}", {
          params: { path },
          body: { skipped_days: [...hours.skipped_days, day] },
        }),
      ),
    () => `${hours.name}: not on ${day}.`,
  );
  return (
    <Group gap={4} wrap="nowrap" justify="flex-end">
      <Tooltip label="Edit">
        <ActionIcon variant="subtle" color="gray" aria-label={`Edit ${hours.name}`} onClick={edit}>
          <Pencil size={16} aria-hidden />
        </ActionIcon>
      </Tooltip>
      {hours.next.length > 1 && (
        <Tooltip label={`Skip ${day}`}>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={`Skip ${day} of ${hours.name}`}
            loading={skip.isPending}
            onClick={() => skip.mutate(undefined)}
          >
            <CalendarX size={16} aria-hidden />
          </ActionIcon>
        </Tooltip>
      )}
      <Tooltip label="Cancel">
        <ActionIcon
          variant="subtle"
          color="red"
          aria-label={`Cancel ${hours.name}`}
          loading={cancel.isPending}
          onClick={() => cancel.mutate(undefined)}
        >
          <Trash2 size={16} aria-hidden />
        </ActionIcon>
      </Tooltip>
    </Group>
  );
}

function kept(hours: LabHoursRead): string {
  if (hours.gpus === null) return `all of ${hours.node}`;
  return counted(hours.gpus, "GPU") + (hours.node === null ? "" : ` of ${hours.node}`);
}

function audience(hours: LabHoursRead): string {
  const users = Object.values(hours.users ?? {}).join(", ");
  return [hours.section && `section ${hours.section}`, hours.assignment, users].filter(Boolean).join(" and ");
}
