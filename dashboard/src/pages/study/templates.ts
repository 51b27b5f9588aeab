/** The templates of the installed courses as choices: a whole course, a part, or one question. */

import type { CourseRead, TemplateRead } from "../../api/schema";

export function templateChoices(courses: readonly CourseRead[]) {
  return [
    { group: "Everything", items: courses.map((course) => choice(course.whole)) },
    { group: "Parts", items: courses.flatMap((course) => course.parts.map(choice)) },
    { group: "Questions", items: courses.flatMap((course) => course.questions.map(choice)) },
  ];
}

function choice({ template, title }: TemplateRead) {
  return { value: template, label: title };
}
