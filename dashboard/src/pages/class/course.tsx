/** The course that the page of the class is about, where the user has several. */

import { Select } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";

import type { CourseRead } from "../../api/schema";
import { nameOf, useTaught } from "../course/courses";

/** The chosen course; undefined where there is only one, which nobody has to choose. */
export function useCourse(): CourseRead | undefined {
  const { course } = useSearch({ from: "/inside/class" });
  const courses = useTaught();
  return courses.length < 2 ? undefined : (courses.find((one) => one.id === course) ?? courses[0]);
}

export function CoursePicker() {
  const courses = useTaught();
  const chosen = useCourse();
  const navigate = useNavigate({ from: "/class" });
  if (chosen === undefined) return null;
  return (
    <Select
      aria-label="Course"
      data={courses.map((one) => ({
        value: one.id,
        label: one.archived_at === null ? nameOf(one) : `${nameOf(one)}, archived`,
      }))}
      value={chosen.id}
      onChange={(id) => void navigate({ search: (before) => ({ ...before, course: id ?? undefined }), replace: true })}
      allowDeselect={false}
      w="20rem"
      maw="100%"
    />
  );
}
