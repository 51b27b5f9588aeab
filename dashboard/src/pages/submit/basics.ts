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

/** The fields to fold. A short form folds none; a field in `needed` (set or invalid) is always shown. */
export function foldedOf(fields: readonly string[], needed: ReadonlySet<string>): string[] {
  if (fields.length <= MAX_UNFOLDED) return [];
  const known = fields.filter((field) => BASIC.has(field));
  const shown = new Set(known.length >= MIN_BASIC ? known : fields.slice(0, FIRST));
  return fields.filter((field) => !shown.has(field) && !needed.has(field));
}
