/** JSON whose integers keep every digit. Beyond 2^53 a JavaScript number rounds them, so there they are bigints. */

import { EXACT_FIELDS } from "./exact-fields";

const LONG = /[0-9]{16}/;
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/gs;
const INTEGER = /^-?[0-9]+$/;
// No text of the lab begins with it: its database cannot keep it.
const MARK = "\u0000exact:";

/** An integer as it was written: a number where that is the same. */
export function integerOf(written: string): number | bigint {
  const near = Number(written);
  return Number.isSafeInteger(near) ? near : BigInt(written);
}

/** What a field for integers holds, however it is held there; null where that is no integer. */
export function wholeOf(entry: unknown): number | bigint | null {
  if (typeof entry === "bigint") return integerOf(String(entry));
  return typeof entry === "string" && INTEGER.test(entry) ? integerOf(entry) : null;
}

/** The document with the integers that a number would round as marked texts, for a reader that knows numbers alone. */
export function marked(json: string): string {
  if (!LONG.test(json)) return json;
  return json.replaceAll(TOKENS, (token) =>
    token.length > 15 && INTEGER.test(token) && typeof integerOf(token) === "bigint"
      ? JSON.stringify(MARK + token)
      : token,
  );
}

/**
 * The value with its marked integers: bigints in the fields of the contract that may hold any, numbers elsewhere, as the
 * types say.
 */
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

/** JSON of the value with its bigints as marked texts, for a reader that knows no bigint. */
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
