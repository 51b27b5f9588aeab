/** Narrows a list to one course, for users in several. */

import { Select } from "@mantine/core";

import { nameOf, useCourses } from "./courses";

interface CourseFilterProps {
  /** Its id. */
  course: string | undefined;
  setCourse: (course: string | undefined) => void;
}

export function CourseFilter({ course, setCourse }: CourseFilterProps) {
  const courses = useCourses();
  if (courses.length < 2) return null;
  return (
    <Select
      label="Course"
      placeholder="Any"
      data={courses.map((one) => ({ value: one.id, label: nameOf(one) }))}
      value={course ?? null}
      onChange={(id) => setCourse(id ?? undefined)}
      clearable
      className="filter"
    />
  );
}
