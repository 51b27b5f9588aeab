/** Corrects grades by a table: first a preview of the changes, then all of them at once. */

import { Text } from "@mantine/core";

import { api, data } from "../../api/client";
import type { AssignmentRead, GradeRow, GradesImported } from "../../api/schema";
import { Preview, TableImport } from "../../components/tables/TableImport";
import { counted, NOTHING, number } from "../../format";

const EXAMPLE = "email,points,comment\nada@example.org,9,Well done";

export function ImportGrades({ assignment }: { assignment: AssignmentRead }) {
  return (
    <TableImport
      label="Import corrections"
      title={`Correct the grades of ${assignment.name}`}
      about={
        <>
          A table with <code>email</code> or <code>name</code>, and <code>points</code> or <code>comment</code>, such as
          the exported spreadsheet. Points are those before the late policy. Empty cells change nothing.
        </>
      }
      example={EXAMPLE}
      send={(table, dryRun) =>
        data(
          api.POST("/v1/assignments/{assignment_id}/grades/import", {
            params: { path: { assignment_id: assignment.id } },
            body: { ...table, dry_run: dryRun },
          }),
        )
      }
      changes={({ changed }) => changed}
      action={(changed) => (changed === 0 ? "Nothing to change" : `Change ${counted(changed, "grade")}`)}
      preview={(plan) => <Changes plan={plan} />}
      notice={({ changed }) => `Changed ${counted(changed, "grade")}.`}
    />
  );
}

const COLUMNS = [
  { title: "Student", className: "break", cell: (row: GradeRow) => row.user },
  {
    title: "Points",
    className: "numbers",
    cell: (row: GradeRow) => beforeAfter(shown(row.points_before), shown(row.points_after)),
  },
  {
    title: "Comment",
    className: "break",
    cell: (row: GradeRow) => beforeAfter(row.comment_before, row.comment_after),
  },
];

function Changes({ plan }: { plan: GradesImported }) {
  return (
    <Preview
      summary={
        <Text size="sm" role="status">
          {plan.changed} changed, {plan.kept} unchanged
        </Text>
      }
      rows={plan.rows.filter((row) => row.action === "change")}
      columns={COLUMNS}
      notices={plan.notices}
    />
  );
}

function shown(points: number | null): string | null {
  return points === null ? null : number(points);
}

function beforeAfter(before: string | null, after: string | null): string {
  return before === after ? (before ?? NOTHING) : `${before ?? NOTHING} → ${after ?? NOTHING}`;
}
