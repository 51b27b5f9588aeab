/** The course's questions as choices: the whole, a part, or one question. */

import type { ExperimentSummary } from "../../api/schema";

export function templateChoices(catalogue: readonly Pick<ExperimentSummary, "questions">[]) {
  const questions = [...new Set(catalogue.flatMap((entry) => entry.questions))].sort();
  const parts = [...new Set(questions.map((question) => question.charAt(0)))];
  return [
    { group: "Everything", items: [{ value: "course/all", label: "The whole homework" }] },
    { group: "Parts", items: parts.map((part) => ({ value: `course/${part}`, label: `Part ${part}` })) },
    {
      group: "Questions",
      items: questions.map((question) => ({ value: `course/${question}`, label: `Question ${question}` })),
    },
  ];
}
