/** The user's courses, where they have to choose between several. */

import { useQuery } from "@tanstack/react-query";

import * as queries from "../../api/queries";
import type { CourseRead } from "../../api/schema";

const NONE: CourseRead[] = [];

export function nameOf(course: CourseRead): string {
  return course.term === null ? course.name : `${course.name} (${course.term})`;
}

/** Courses that the user teaches, archived ones too: for an admin all of them. */
export function useTaught(): CourseRead[] {
  const { data: me } = useQuery(queries.me);
  return useCourses().filter((one) => me?.role === "admin" || one.your_role === "instructor");
}

/** Open courses that new work of the user can be for; none where there is nothing to choose. */
export function useChoices({ taught }: { taught: boolean }): CourseRead[] {
  const courses = useCourses();
  const teaching = useTaught();
  const open = (taught ? teaching : courses).filter((one) => one.archived_at === null);
  return open.length < 2 ? NONE : open;
}

/** The name of a course, for users in several. */
export function useNameOf(id: string | null | undefined): string | undefined {
  const courses = useCourses();
  const found = courses.find((one) => one.id === id);
  return courses.length < 2 || found === undefined ? undefined : nameOf(found);
}

/** All that the user sees, archived ones too. */
export function useCourses(): CourseRead[] {
  return useQuery(queries.courses).data?.items ?? NONE;
}
