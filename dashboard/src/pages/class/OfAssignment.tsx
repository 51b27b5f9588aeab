/** A page about one assignment of several: a choice of it, which stands in the address, and what can be done with it. */

import { Card, Group, Select, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";

import * as queries from "../../api/queries";
import type { AssignmentRead } from "../../api/schema";
import { Answer } from "../../components/Feedback";
import { useCourse } from "./course";

/** Chooses the assignment that the tabs of the class are about. */
export function useChooseAssignment(): (id: string | null) => void {
  const navigate = useNavigate({ from: "/class" });
  return (id) => void navigate({ search: (before) => ({ ...before, assignment: id ?? undefined }), replace: true });
}

interface OfAssignmentProps {
  /** Without any assignment. */
  empty: ReactNode;
  actions: (assignment: AssignmentRead) => ReactNode;
  children: (assignment: AssignmentRead) => ReactNode;
}

export function OfAssignment({ empty, actions, children }: OfAssignmentProps) {
  const query = useQuery(queries.assignments);
  const { assignment: chosen } = useSearch({ from: "/inside/class" });
  const choose = useChooseAssignment();
  const course = useCourse()?.id;
  return (
    <Answer query={query}>
      {({ items }) => {
        const shown = items.filter((item) => course === undefined || item.course_id === course);
        const assignment = shown.find((item) => item.id === chosen) ?? shown[0];
        if (assignment === undefined) return <Card>{empty}</Card>;
        return (
          <Stack>
            <Group justify="space-between" align="flex-end" gap="xs">
              <Select
                label="Assignment"
                data={shown.map((item) => ({ value: item.id, label: item.name }))}
                value={assignment.id}
                onChange={choose}
                allowDeselect={false}
                w="24rem"
                maw="100%"
              />
              <Group gap="xs">{actions(assignment)}</Group>
            </Group>
            {children(assignment)}
          </Stack>
        );
      }}
    </Answer>
  );
}
