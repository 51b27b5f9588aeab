/** The course's questions as choices: the whole, a part, or one question. */

import type { ExperimentSummary } from "../../api/schema";

export function templateChoices(catalogue: readonly Pick<ExperimentSummary, "questions">[]) {
  const questions = [...new Set(catalogue.flatMap((entry) => entry.questions))].sort();
  const parts = [...new Set(questions.map((question) => question.slice(0, question.indexOf("/") + 2)))];
  const courses = [...new Set(questions.map((question) => question.slice(0, question.indexOf("/"))))];
  const label = (template: string) => template.slice(template.indexOf("/") + 1);
  return [
    { group: "Everything", items: courses.map((course) => ({ value: `${course}/all`, label: "The whole homework" })) },
    { group: "Parts", items: parts.map((part) => ({ value: part, label: `Part ${label(part)}` })) },
    {
      group: "Questions",
      items: questions.map((question) => ({ value: question, label: `Question ${label(question)}` })),
    },
  ];
}
