/** Corrects grades by a table: first a preview of the changes, then all of them at once. */

import { Alert, Button, Stack, Table, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { TriangleAlert, Upload } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { AssignmentRead, GradeRow, GradesImported } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { isGiven, NO_TABLE, TableInput, type GivenTable } from "../../components/TableInput";
import { useAction } from "../../components/useAction";
import { counted, NOTHING, number } from "../../format";

const EXAMPLE = "email,points,comment\nada@example.org,9,Well done";

export function ImportGrades({ assignment }: { assignment: AssignmentRead }) {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button size="sm" variant="default" leftSection={<Upload size={16} aria-hidden />} onClick={open}>
        Import corrections
      </Button>
      <Dialog title={`Correct the grades of ${assignment.name}`} opened={opened} close={close} size="xl">
        <Steps assignment={assignment} close={close} />
      </Dialog>
    </>
  );
}

function Steps({ assignment, close }: { assignment: AssignmentRead; close: () => void }) {
  const [table, setTable] = useState<GivenTable>(NO_TABLE);
  const send = (dryRun: boolean) =>
    data(
      api.POST("/v1/assignments/{assignment_id}/grades/import", {
        params: { path: { assignment_id: assignment.id } },
        body: { ...table, dry_run: dryRun },
      }),
    );
  const look = useAction(
    () => send(true),
    () => null,
    true,
  );
  const apply = useAction(
    () => send(false),
    (made) => {
      close();
      return `Changed ${counted(made.changed, "grade")}.`;
    },
    true,
  );
  if (look.data === undefined) {
    return (
      <Ask
        action="Preview changes"
        busy={look.isPending}
        ready={isGiven(table)}
        error={look.error}
        send={() => look.mutate(undefined)}
      >
        <Text size="sm" c="dimmed">
          A table with <code>email</code> or <code>name</code>, and <code>points</code> or <code>comment</code>, such as
          the exported spreadsheet. Points are those before the late policy. Empty cells change nothing.
        </Text>
        <TableInput table={table} setTable={setTable} example={EXAMPLE} />
      </Ask>
    );
  }
  const { changed } = look.data;
  return (
    <Ask
      action={changed === 0 ? "Nothing to change" : `Change ${counted(changed, "grade")}`}
      ready={changed > 0}
      busy={apply.isPending}
      error={apply.error}
      send={() => apply.mutate(undefined)}
    >
      <Preview plan={look.data} />
      <Button variant="default" size="xs" style={{ alignSelf: "flex-start" }} onClick={look.reset}>
        Back
      </Button>
    </Ask>
  );
}

function Preview({ plan }: { plan: GradesImported }) {
  const changed = plan.rows.filter((row) => row.action === "change");
  return (
    <Stack gap="sm">
      <Text size="sm" role="status">
        {plan.changed} changed, {plan.kept} unchanged
      </Text>
      {changed.length > 0 && (
        <Table.ScrollContainer minWidth={260} maxHeight="45vh">
          <Table verticalSpacing={4} stickyHeader>
            <Table.Thead>
              <Table.Tr>
                <Table.Th visibleFrom="sm" w={60}>
                  Line
                </Table.Th>
                <Table.Th>Student</Table.Th>
                <Table.Th>Points</Table.Th>
                <Table.Th>Comment</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {changed.map((row) => (
                <Change key={row.line} row={row} />
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {plan.notices?.map((notice) => (
        <Alert key={notice} color="orange" variant="light" icon={<TriangleAlert aria-hidden />}>
          {notice}
        </Alert>
      ))}
    </Stack>
  );
}

function Change({ row }: { row: GradeRow }) {
  return (
    <Table.Tr>
      <Table.Td className="numbers" visibleFrom="sm">
        {row.line}
      </Table.Td>
      <Table.Td className="break">{row.user}</Table.Td>
      <Table.Td className="numbers">{beforeAfter(shown(row.points_before), shown(row.points_after))}</Table.Td>
      <Table.Td className="break">{beforeAfter(row.comment_before, row.comment_after)}</Table.Td>
    </Table.Tr>
  );
}

function shown(points: number | null): string | null {
  return points === null ? null : number(points);
}

function beforeAfter(before: string | null, after: string | null): string {
  return before === after ? (before ?? NOTHING) : `${before ?? NOTHING} → ${after ?? NOTHING}`;
}
