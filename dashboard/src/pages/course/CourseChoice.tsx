/** For which course a run, a study or lab hours are. */

import { Select } from "@mantine/core";

import type { CourseRead } from "../../api/schema";
import { nameOf } from "./courses";

interface Props {
  /** As `useChoices` gives them: with none, nothing is shown. */
  courses: CourseRead[];
  chosen: string | undefined;
  choose: (course: string | undefined) => void;
  /** Whether the lab cannot choose itself. */
  required?: boolean;
}

export function CourseChoice({ courses, chosen, choose, required = false }: Props) {
  if (courses.length === 0) return null;
  return (
    <Select
      label="Course"
      description={required ? undefined : "Empty: one with an open assignment for it, or the one you joined last"}
      placeholder={required ? undefined : "The lab chooses"}
      data={courses.map((one) => ({ value: one.id, label: nameOf(one) }))}
      value={chosen ?? null}
      onChange={(id) => choose(id ?? undefined)}
      clearable={!required}
      allowDeselect={!required}
    />
  );
}
