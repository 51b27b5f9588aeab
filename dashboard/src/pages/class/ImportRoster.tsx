/** Imports a class from a table: first a preview of the changes, then the tokens of new users, shown once. */

import { Alert, Badge, Button, Group, List, Stack, Text } from "@mantine/core";
import { CircleCheck, Download, TriangleAlert } from "lucide-react";

import { api, data } from "../../api/client";
import type { RosterImported, RosterRow } from "../../api/schema";
import { saveAs } from "../../charts/series";
import { Preview, TableImport } from "../../components/tables/TableImport";
import { NOTHING } from "../../format";
import { useCourse } from "./course";

const EXAMPLE = "name,email,section,team\nSam,sam@example.org,A,red";
const MAX_NAMED = 8;

export function ImportRoster() {
  const course = useCourse()?.id;
  return (
    <TableImport
      label="Import a class"
      title="Import a class"
      about={
        <>
          A table with the columns <code>name</code> and <code>email</code>, optionally <code>section</code> and{" "}
          <code>team</code>; or an export of Canvas, Moodle, Gradescope or GitHub Classroom. A student with a known
          email is updated. Nobody is removed.
        </>
      }
      example={EXAMPLE}
      send={(table, dryRun) => data(api.POST("/v1/roster", { body: { ...table, dry_run: dryRun, course_id: course } }))}
      changes={({ created, changed }) => created + changed}
      action={(changes) => (changes === 0 ? "Nothing to import" : `Import ${changes}`)}
      preview={(plan) => <Changes plan={plan} />}
      after={(done, close) => <Imported done={done} close={close} />}
      notice={() => null}
    />
  );
}

const COLUMNS = [
  {
    title: "User",
    className: "break",
    cell: (row: RosterRow) => (
      <>
        {row.name}
        <Text size="xs" c="dimmed">
          {row.email}
        </Text>
      </>
    ),
  },
  { title: "Change", cell: happens },
];

function Changes({ plan }: { plan: RosterImported }) {
  return (
    <Preview
      summary={
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
      }
      rows={plan.rows.filter((row) => row.action !== "keep")}
      columns={COLUMNS}
      notices={plan.notices}
    >
      {plan.missing.length > 0 && (
        <Alert
          color="gray"
          variant="light"
          icon={<TriangleAlert aria-hidden />}
          title={`${plan.missing.length} in the lab but not in the table`}
        >
          <Text size="sm" className="break">
            {plan.missing.slice(0, MAX_NAMED).join(", ")}
            {plan.missing.length > MAX_NAMED && ", …"}. They stay as they are.
          </Text>
        </Alert>
      )}
    </Preview>
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
