/** What is wrong with a field, in a sentence: "Batch size must be at most 4,096." */

import { number, sentence, words } from "../format";
import type { InvalidField } from "./schema";

const BOUNDS: Record<string, string> = {
  ge: "must be at least",
  le: "must be at most",
  gt: "must be more than",
  lt: "must be less than",
  multiple_of: "must be a multiple of",
};

/** As validators begin their messages, and as a sentence about the field goes on. */
const OPENINGS: [RegExp, string][] = [
  [/^(input|value|string|list|dictionary|set) should /i, "must "],
  [/^(value|assertion) (error|failed), /i, ""],
  [/^field required$/i, "is required"],
  [/^extra inputs are not permitted$/i, "is not a field of this experiment"],
];

type Invalid = Pick<InvalidField, "path" | "message" | "limit">;

function predicateOf({ message, limit }: Invalid): string {
  const bounds = Object.entries(limit ?? {}).filter(([name, bound]) => name in BOUNDS && typeof bound === "number");
  if (bounds.length > 0)
    return bounds.map(([name, bound]) => `${BOUNDS[name]} ${number(bound as number)}`).join(" and ");
  return OPENINGS.reduce((text, [opening, words]) => text.replace(opening, words), message);
}

/** The field of a path, without its place in the request and in lists; empty for the request itself. */
function nameOf(path: string): string {
  const parts = path.split(".").filter((part) => !/^[0-9]+$/.test(part));
  return words(parts.length > 1 ? parts.at(-1)! : (parts[0] ?? "").replace(/^(spec|body|query)$/, ""));
}

/** For a place where the field is named already. */
export function aboutField(field: Invalid): string {
  return sentence(predicateOf(field).replaceAll("`", ""));
}

export function invalidText(field: Invalid): string {
  const name = nameOf(field.path);
  const predicate = predicateOf(field).replaceAll("`", "");
  if (name === "") return sentence(predicate);
  const joined = /^(must|is|has|needs|cannot|takes) /.test(predicate)
    ? `${name} ${predicate}`
    : `${name}: ${predicate}`;
  return sentence(joined);
}
