/** The templates of the installed question sets as choices: a whole question set, a part, or one question. */

import type { QuestionSetRead, TemplateRead } from "../../api/schema";

export function templateChoices(questionSets: readonly QuestionSetRead[]) {
  return [
    { group: "Everything", items: questionSets.map((questionSet) => choice(questionSet.whole)) },
    { group: "Parts", items: questionSets.flatMap((questionSet) => questionSet.parts.map(choice)) },
    { group: "Questions", items: questionSets.flatMap((questionSet) => questionSet.questions.map(choice)) },
  ];
}

function choice({ template, title }: TemplateRead) {
  return { value: template, label: title };
}
