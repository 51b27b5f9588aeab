/**
 * A table that the lab sends page by page, with a button for the next page. Cells are plain elements, and a row is
 * rendered again only when it changes: with a component of the library per cell, a hundred rows would take a second.
 */

import { Button, Card, Group, Table, Text } from "@mantine/core";
import { memo, type ReactNode } from "react";

import { integer } from "../format";
import { Answer } from "./Feedback";

export interface Column<Row> {
  title: ReactNode;
  cell: (row: Row) => ReactNode;
  /** The narrowest screen that shows it. */
  from?: "xs" | "sm" | "md";
  className?: string;
  width?: number;
  align?: "right";
  oneLine?: boolean;
}

interface Paged {
  data: unknown;
  error: unknown;
  refetch: () => unknown;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

export interface Selection<Row> {
  chosen: ReadonlySet<string | number>;
  choose: (row: Row, is: boolean) => void;
  /** Names a row for its checkbox. */
  label: (row: Row) => string;
}

interface PagedTableProps<Row> {
  query: Paged;
  rows: readonly Row[];
  keyOf: (row: Row) => string | number;
  /** Made once: a new list renders every row again. */
  columns: readonly Column<Row>[];
  /** Shown instead of a table without rows. */
  empty: ReactNode;
  more?: string;
  minWidth?: number;
  selection?: Selection<Row>;
}

/** The rows of all pages that were read. */
export function rowsOf<Row>(query: { data?: { pages: readonly { items: readonly Row[] }[] } }): Row[] {
  return query.data?.pages.flatMap((page) => page.items) ?? [];
}

export function PagedTable<Row>({ query, rows, empty, more = "Show more", ...table }: PagedTableProps<Row>) {
  return (
    <Answer query={query}>
      {() =>
        rows.length === 0 ? (
          <Card>{empty}</Card>
        ) : (
          <Card padding={0}>
            <Rows rows={rows} {...table} />
            <Group justify="center" p="xs" gap="sm">
              <Text size="xs" c="dimmed" className="numbers">
                {query.hasNextPage ? `The first ${integer(rows.length)} are shown` : `${integer(rows.length)} in all`}
              </Text>
              {query.hasNextPage && (
                <Button
                  variant="default"
                  size="sm"
                  onClick={() => void query.fetchNextPage()}
                  loading={query.isFetchingNextPage}
                >
                  {more}
                </Button>
              )}
            </Group>
          </Card>
        )
      }
    </Answer>
  );
}

type RowsProps<Row> = Pick<PagedTableProps<Row>, "rows" | "keyOf" | "columns" | "minWidth" | "selection">;

function Rows<Row>({ rows, keyOf, columns, minWidth = 320, selection }: RowsProps<Row>) {
  return (
    <Table.ScrollContainer
      minWidth={minWidth}
      scrollAreaProps={{ offsetScrollbars: false, viewportProps: { tabIndex: 0 } }}
    >
      <table className="paged">
        <thead>
          <tr>
            {selection && (
              <th className="choice">
                <span className="visually-hidden">Selected</span>
              </th>
            )}
            {columns.map((column, i) => (
              <th key={i} className={classOf(column)} style={{ width: column.width }}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const key = keyOf(row);
            const chosen = selection?.chosen.has(key);
            return (
              <OneRow
                key={key}
                row={row}
                columns={columns as readonly Column<unknown>[]}
                chosen={chosen}
                selection={selection as Selection<unknown> | undefined}
              />
            );
          })}
        </tbody>
      </table>
    </Table.ScrollContainer>
  );
}

interface OneRowProps {
  row: unknown;
  columns: readonly Column<unknown>[];
  /** Undefined where rows cannot be selected. */
  chosen: boolean | undefined;
  selection: Selection<unknown> | undefined;
}

const OneRow = memo(function OneRow({ row, columns, chosen, selection }: OneRowProps) {
  return (
    <tr aria-selected={chosen}>
      {selection && (
        <td className="choice">
          <input
            type="checkbox"
            aria-label={`Select ${selection.label(row)}`}
            checked={chosen}
            onChange={(event) => selection.choose(row, event.currentTarget.checked)}
          />
        </td>
      )}
      {columns.map((column, i) => (
        <td key={i} className={classOf(column)}>
          {column.cell(row)}
        </td>
      ))}
    </tr>
  );
}, unchanged);

function unchanged(before: OneRowProps, after: OneRowProps): boolean {
  return before.row === after.row && before.columns === after.columns && before.chosen === after.chosen;
}

function classOf<Row>({ from, className, align, oneLine }: Column<Row>): string | undefined {
  const names = [from && `mantine-visible-from-${from}`, className, align, oneLine && "one-line"];
  return names.filter(Boolean).join(" ") || undefined;
}
