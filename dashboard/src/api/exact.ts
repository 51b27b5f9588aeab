/** JSON whose integers keep every digit. JavaScript numbers round integers beyond 2^53, so those become bigints. */

import { EXACT_FIELDS } from "./exact-fields";

const LONG = /[0-9]{16}/;
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/gs;
const INTEGER = /^-?[0-9]+$/;
// No text of the lab starts with it: the database cannot store a null character.
const MARK = "\u0000exact:";

/** An integer as written: a number if that is exact, else a bigint. */
export function integerOf(written: string): number | bigint {
  const near = Number(written);
  return Number.isSafeInteger(near) ? near : BigInt(written);
}

/** The integer in a field, from text or bigint; null if it is none. */
export function wholeOf(entry: unknown): number | bigint | null {
  if (typeof entry === "bigint") return integerOf(String(entry));
  return typeof entry === "string" && INTEGER.test(entry) ? integerOf(entry) : null;
}

/** The document with large integers as marked text, for a parser that would round them. */
export function marked(json: string): string {
  if (!LONG.test(json)) return json;
  return json.replaceAll(TOKENS, (token) =>
    token.length > 15 && INTEGER.test(token) && typeof integerOf(token) === "bigint"
      ? JSON.stringify(MARK + token)
      : token,
  );
}

/** The value with its marked integers: bigints in fields that may hold any integer, numbers elsewhere. */
export function settled(given: unknown, exact = false): unknown {
  if (typeof given === "string" && given.startsWith(MARK)) {
    const digits = given.slice(MARK.length);
    return exact ? BigInt(digits) : Number(digits);
  }
  if (typeof given !== "object" || given === null) return given;
  if (Array.isArray(given)) return given.map((entry) => settled(entry, exact));
  return Object.fromEntries(
    Object.entries(given).map(([name, entry]) => [name, settled(entry, exact || EXACT_FIELDS.has(name))]),
  );
}

export function readJson(text: string): unknown {
  return settled(JSON.parse(marked(text)), true);
}

/** JSON of the value with its bigints as marked text. */
export function markedJson(given: unknown, indent?: number): string {
  const text = JSON.stringify(
    given,
    (_, entry: unknown) => (typeof entry === "bigint" ? `${MARK}${entry}` : entry),
    indent,
  ) as string | undefined;
  return text ?? "null";
}

/** The inverse of `readJson`. */
export function writeJson(given: unknown, indent?: number): string {
  return markedJson(given, indent).replaceAll(/"\\u0000exact:(-?[0-9]+)"/g, "$1");
}
