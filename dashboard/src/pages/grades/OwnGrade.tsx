/** The user's own grade: the points, what late days took off, the rubric and the comment. */

import { Stack, Table, Text } from "@mantine/core";

import type { GradeRead } from "../../api/schema";
import { counted, number } from "../../format";

export function OwnGrade({ grade }: { grade: GradeRead }) {
  return (
    <Stack gap={4}>
      {grade.final_points !== null && (
        <Text size="lg" fw={600} className="numbers">
          {pointsOf(grade)}
        </Text>
      )}
      <LateCost grade={grade} />
      <Rubric grade={grade} />
      {grade.comment !== null && (
        <Text size="sm" className="break" style={{ whiteSpace: "pre-wrap" }} maw="46rem">
          {grade.comment}
        </Text>
      )}
      {grade.of_earlier_run && (
        <Text size="xs" c="dimmed">
          This grade is of a run that you replaced since.
        </Text>
      )}
    </Stack>
  );
}

/** `7.2 of 10 points`. */
export function pointsOf({ final_points: points, max_points: most }: GradeRead): string {
  if (points === null) return "no points yet";
  return most === null ? `${number(points)} points` : `${number(points)} of ${number(most)} points`;
}

export function LateCost({ grade }: { grade: GradeRead }) {
  if (grade.deduction === 0 || grade.points === null) return null;
  return (
    <Text size="xs" c="dimmed" className="numbers">
      {number(grade.points)} points, {number(grade.deduction)} {grade.deduction_unit} deducted for{" "}
      {counted(grade.days_late, "late day")}
    </Text>
  );
}

function Rubric({ grade: { rubric } }: { grade: GradeRead }) {
  if (rubric.length === 0) return null;
  return (
    <Table verticalSpacing={4} className="flush" maw="30rem" aria-label="Rubric">
      <Table.Tbody>
        {rubric.map((line, i) => (
          <Table.Tr key={i}>
            <Table.Td className="break">{line.text}</Table.Td>
            <Table.Td ta="right" className="numbers">
              {number(line.points)}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
