/** A table that the lab sends page by page, with a button for the next page. */

import { Button, Card, Group, Table } from "@mantine/core";
import type { ReactNode } from "react";

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

interface PagedTableProps<Row> {
  query: Paged;
  rows: readonly Row[];
  keyOf: (row: Row) => string | number;
  columns: readonly Column<Row>[];
  /** Shown instead of a table without rows. */
  empty: ReactNode;
  more?: string;
  minWidth?: number;
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
            {query.hasNextPage && (
              <Group justify="center" p="sm">
                <Button
                  variant="default"
                  size="sm"
                  onClick={() => void query.fetchNextPage()}
                  loading={query.isFetchingNextPage}
                >
                  {more}
                </Button>
              </Group>
            )}
          </Card>
        )
      }
    </Answer>
  );
}

function Rows<Row>({
  rows,
  keyOf,
  columns,
  minWidth = 320,
}: Pick<PagedTableProps<Row>, "rows" | "keyOf" | "columns" | "minWidth">) {
  return (
    <Table.ScrollContainer
      minWidth={minWidth}
      scrollAreaProps={{ offsetScrollbars: false, viewportProps: { tabIndex: 0 } }}
    >
      <Table verticalSpacing={6} horizontalSpacing="md">
        <Table.Thead>
          <Table.Tr>
            {columns.map((column, i) => (
              <Table.Th key={i} visibleFrom={column.from} w={column.width}>
                {column.title}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={keyOf(row)}>
              {columns.map((column, i) => (
                <Table.Td
                  key={i}
                  visibleFrom={column.from}
                  className={column.className}
                  ta={column.align}
                  style={column.oneLine ? { whiteSpace: "nowrap" } : undefined}
                >
                  {column.cell(row)}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
