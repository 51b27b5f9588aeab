/** Which fields of a long form are shown first. */

const MAX_UNFOLDED = 9;
const BASIC: ReadonlySet<string> = new Set([
  "dataset",
  "model",
  "method",
  "image_size",
  "images",
  "images_per_class",
  "epochs",
  "steps",
  "iterations",
  "batch_size",
  "optimizer",
  "learning_rate",
  "precision",
]);
const MIN_BASIC = 4;
const FIRST = 8;

/**
 * The fields to fold: those of a long form that are not basic, and `bulky` ones, such as lists of numbers. A field in
 * `needed` (set or invalid) is always shown.
 */
export function foldedOf(
  fields: readonly string[],
  needed: ReadonlySet<string>,
  bulky: ReadonlySet<string> = new Set(),
): string[] {
  const known = fields.filter((field) => BASIC.has(field));
  const first = fields.length <= MAX_UNFOLDED ? fields : known.length >= MIN_BASIC ? known : fields.slice(0, FIRST);
  const shown = new Set(first.filter((field) => !bulky.has(field)));
  return fields.filter((field) => !shown.has(field) && !needed.has(field));
}
