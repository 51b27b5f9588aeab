/** Imports a table in two steps: a look at what would change, then the change. */

import { Alert, Button, Stack, Table, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { TriangleAlert, Upload } from "lucide-react";
import { useState, type ReactNode } from "react";

import { Ask, Dialog } from "../Dialog";
import { isGiven, NO_TABLE, TableInput, type GivenTable } from "./TableInput";
import { useAction } from "../useAction";

interface TableImportProps<Plan> {
  /** The button that opens it. */
  label: string;
  title: string;
  /** What the table looks like, in words and as an example. */
  about: ReactNode;
  example: string;
  send: (table: GivenTable, dryRun: boolean) => Promise<Plan>;
  changes: (plan: Plan) => number;
  /** The label of the button that applies this number of changes. */
  action: (changes: number) => string;
  preview: (plan: Plan) => ReactNode;
  /** What the dialog shows afterwards; without it, it closes with a notice. */
  after?: (done: Plan, close: () => void) => ReactNode;
  notice: (done: Plan) => string | null;
}

export function TableImport<Plan>(props: TableImportProps<Plan>) {
  const [opened, { open, close }] = useDisclosure();
  const [applied, setApplied] = useState(false);
  function finish() {
    close();
    setApplied(false);
  }
  return (
    <>
      <Button size="sm" variant="default" leftSection={<Upload size={16} aria-hidden />} onClick={open}>
        {props.label}
      </Button>
      <Dialog title={props.title} opened={opened} close={finish} size="xl" once={applied}>
        <Steps {...props} close={finish} applied={() => setApplied(true)} />
      </Dialog>
    </>
  );
}

function Steps<Plan>({
  about,
  example,
  send,
  changes,
  action,
  preview,
  after,
  notice,
  close,
  applied,
}: TableImportProps<Plan> & { close: () => void; applied: () => void }) {
  const [table, setTable] = useState<GivenTable>(NO_TABLE);
  const look = useAction(
    () => send(table, true),
    () => null,
    true,
  );
  const apply = useAction(
    () => send(table, false),
    (done) => {
      if (after === undefined) close();
      else applied();
      return notice(done);
    },
    true,
  );
  if (apply.data !== undefined && after !== undefined) return <>{after(apply.data, close)}</>;
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
          {about}
        </Text>
        <TableInput table={table} setTable={setTable} example={example} />
      </Ask>
    );
  }
  const count = changes(look.data);
  return (
    <Ask
      action={action(count)}
      ready={count > 0}
      busy={apply.isPending}
      error={apply.error}
      send={() => apply.mutate(undefined)}
    >
      {preview(look.data)}
      <Button variant="default" size="xs" style={{ alignSelf: "flex-start" }} onClick={look.reset}>
        Back
      </Button>
    </Ask>
  );
}

interface PreviewProps<Row> {
  summary: ReactNode;
  /** The rows that change something. */
  rows: readonly Row[];
  columns: readonly { title: string; cell: (row: Row) => ReactNode; className?: string }[];
  notices: readonly string[] | undefined;
  children?: ReactNode;
}

export function Preview<Row extends { line: number }>({
  summary,
  rows,
  columns,
  notices,
  children,
}: PreviewProps<Row>) {
  return (
    <Stack gap="sm">
      {summary}
      {rows.length > 0 && (
        <Table.ScrollContainer minWidth={260} maxHeight="45vh">
          <Table verticalSpacing={4} stickyHeader>
            <Table.Thead>
              <Table.Tr>
                <Table.Th visibleFrom="sm" w={60}>
                  Line
                </Table.Th>
                {columns.map(({ title }) => (
                  <Table.Th key={title}>{title}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {rows.map((row) => (
                <Table.Tr key={row.line}>
                  <Table.Td className="numbers" visibleFrom="sm">
                    {row.line}
                  </Table.Td>
                  {columns.map(({ title, cell, className }) => (
                    <Table.Td key={title} className={className}>
                      {cell(row)}
                    </Table.Td>
                  ))}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {notices?.map((notice) => (
        <Alert key={notice} color="orange" variant="light" icon={<TriangleAlert aria-hidden />}>
          {notice}
        </Alert>
      ))}
      {children}
    </Stack>
  );
}
