/** Imports a class from a table: first a preview of the changes, then the tokens of new users, shown once. */

import { Alert, Badge, Button, Group, List, Stack, Table, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { CircleCheck, Download, TriangleAlert, Upload } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { RosterImported, RosterRow } from "../../api/schema";
import { saveAs } from "../../charts/series";
import { Ask, Dialog } from "../../components/Dialog";
import { isGiven, NO_TABLE, TableInput, type GivenTable } from "../../components/TableInput";
import { useAction } from "../../components/useAction";
import { NOTHING } from "../../format";

const EXAMPLE = "name,email,section,team\nSam,sam@example.org,A,red";

function send(roster: GivenTable, dryRun: boolean): Promise<RosterImported> {
  return data(api.POST("/v1/roster", { body: { ...roster, dry_run: dryRun } }));
}

export function ImportRoster() {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button size="sm" variant="default" leftSection={<Upload size={16} aria-hidden />} onClick={open}>
        Import a class
      </Button>
      <Dialog title="Import a class" opened={opened} close={close} size="xl">
        <Steps close={close} />
      </Dialog>
    </>
  );
}

function Steps({ close }: { close: () => void }) {
  const [roster, setRoster] = useState(NO_TABLE);
  const look = useAction(
    (table: GivenTable) => send(table, true),
    () => null,
    true,
  );
  const apply = useAction(
    (table: GivenTable) => send(table, false),
    () => null,
    true,
  );
  if (apply.data !== undefined) return <Imported done={apply.data} close={close} />;
  if (look.data === undefined)
    return (
      <TableForm
        roster={roster}
        setRoster={setRoster}
        busy={look.isPending}
        error={look.error}
        look={() => look.mutate(roster)}
      />
    );
  const changes = look.data.created + look.data.changed;
  return (
    <Ask
      action={changes === 0 ? "Nothing to import" : `Import ${changes}`}
      ready={changes > 0}
      busy={apply.isPending}
      error={apply.error}
      send={() => apply.mutate(roster)}
    >
      <Preview plan={look.data} />
      <Button variant="default" size="xs" style={{ alignSelf: "flex-start" }} onClick={look.reset}>
        Back
      </Button>
    </Ask>
  );
}

interface TableProps {
  roster: GivenTable;
  setRoster: (roster: GivenTable) => void;
  busy: boolean;
  error: Error | null;
  look: () => void;
}

function TableForm({ roster, setRoster, busy, error, look }: TableProps) {
  const ready = isGiven(roster);
  return (
    <Ask action="Preview changes" busy={busy} ready={ready} error={error} send={look}>
      <Text size="sm" c="dimmed">
        A table with the columns <code>name</code> and <code>email</code>, optionally <code>section</code> and{" "}
        <code>team</code>; or an export of Canvas, Moodle, Gradescope or GitHub Classroom. A student with a known email
        is updated. Nobody is removed.
      </Text>
      <TableInput table={roster} setTable={setRoster} example={EXAMPLE} />
    </Ask>
  );
}

function Preview({ plan }: { plan: RosterImported }) {
  const changed = plan.rows.filter((row) => row.action !== "keep");
  return (
    <Stack gap="sm">
      <Group gap="xs" role="status">
        <Badge variant="light" color="teal" tt="none" className="state state-teal">
          {plan.created} new
        </Badge>
        <Badge variant="light" color="blue" tt="none" className="state state-blue">
          {plan.changed} changed
        </Badge>
        <Badge variant="light" color="gray" tt="none" className="state state-gray">
          {plan.kept} unchanged
        </Badge>
      </Group>
      {changed.length > 0 && (
        <Table.ScrollContainer minWidth={260} maxHeight="45vh">
          <Table verticalSpacing={4} stickyHeader>
            <Table.Thead>
              <Table.Tr>
                <Table.Th visibleFrom="sm" w={60}>
                  Line
                </Table.Th>
                <Table.Th>User</Table.Th>
                <Table.Th>Change</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {changed.map((row) => (
                <Table.Tr key={row.line}>
                  <Table.Td className="numbers" visibleFrom="sm">
                    {row.line}
                  </Table.Td>
                  <Table.Td className="break">
                    {row.name}
                    <Text size="xs" c="dimmed">
                      {row.email}
                    </Text>
                  </Table.Td>
                  <Table.Td>{happens(row)}</Table.Td>
                </Table.Tr>
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
      {plan.missing.length > 0 && (
        <Alert
          color="gray"
          variant="light"
          icon={<TriangleAlert aria-hidden />}
          title={`${plan.missing.length} in the lab but not in the table`}
        >
          <Text size="sm" className="break">
            {plan.missing.slice(0, 20).join(", ")}
            {plan.missing.length > 20 && ", …"}. They stay as they are.
          </Text>
        </Alert>
      )}
    </Stack>
  );
}

function happens(row: RosterRow): React.ReactNode {
  if (row.action === "create") return "added, with a token";
  return (
    <List size="sm">
      {row.changes.map((change) => (
        <List.Item key={change.field}>
          {change.field}: {change.before ?? NOTHING} → {change.after ?? NOTHING}
        </List.Item>
      ))}
    </List>
  );
}

function Imported({ done, close }: { done: RosterImported; close: () => void }) {
  const { tokens_csv: tokens } = done;
  return (
    <Stack>
      <Group gap="xs" wrap="nowrap" align="flex-start">
        <CircleCheck aria-hidden size={20} style={{ flex: "none" }} />
        <Text size="sm">
          {done.created} added, {done.changed} updated, {done.kept} unchanged.
        </Text>
      </Group>
      {tokens !== null && (
        <>
          <Alert
            color="orange"
            variant="light"
            icon={<TriangleAlert aria-hidden />}
            title="Save the tokens before you close this dialog"
          >
            <Text size="sm">
              They are shown only now: the lab keeps hashes. The file has one line per user, with name, email and token.
            </Text>
          </Alert>
          <Button
            leftSection={<Download size={16} aria-hidden />}
            onClick={() => saveAs("tokens.csv", new Blob([tokens], { type: "text/csv" }))}
          >
            Save tokens.csv
          </Button>
        </>
      )}
      <Button variant="default" onClick={close}>
        Close
      </Button>
    </Stack>
  );
}
