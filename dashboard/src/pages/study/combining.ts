/** A grid: fields with the values to combine, as they were typed. */

import type { RJSFSchema } from "@rjsf/utils";

import { integerOf, readJson, writeJson } from "../../api/exact";
import { fieldOf } from "../submit/schema";

export interface Axis {
  name: string;
  values: string[];
}

export type Spec = Record<string, unknown>;

/** A value as a user types it; the inverse of `parsed`. */
export function asTyped(given: unknown): string {
  return typeof given === "string" ? given : writeJson(given);
}

/** The typed text as a value of the field's type. Other text stays text, and the lab reports the error. */
function parsed(field: RJSFSchema, typed: string): unknown {
  const text = typed.trim();
  if (field.type === "integer" && /^-?[0-9]+$/.test(text)) return integerOf(text);
  if (field.type === "integer" || field.type === "number")
    return Number.isFinite(Number(text)) && text !== "" ? Number(text) : text;
  if (field.type === "boolean") return text === "true" ? true : text === "false" ? false : text;
  if (field.type === "string" || field.enum !== undefined) return text;
  try {
    return readJson(text);
  } catch {
    return text;
  }
}

/** The choices of a field that has a list of them. */
export function choicesOf(field: RJSFSchema): string[] | null {
  if (field.type === "boolean") return ["true", "false"];
  if (field.const !== undefined) return [asTyped(field.const)];
  return Array.isArray(field.enum) ? field.enum.map(String) : null;
}

export function gridOf(schema: Record<string, unknown>, axes: readonly Axis[]): Record<string, unknown[]> {
  const chosen = axes.filter((axis) => axis.name !== "" && axis.values.length > 0);
  return Object.fromEntries(
    chosen.map((axis) => [axis.name, axis.values.map((typed) => parsed(fieldOf(schema, axis.name), typed))]),
  );
}

/** Every combination, the last field changing fastest. */
export function combinations(grid: Record<string, unknown[]>): Spec[] {
  return Object.entries(grid).reduce<Spec[]>(
    (found, [name, values]) => found.flatMap((spec) => values.map((value) => ({ ...spec, [name]: value }))),
    [{}],
  );
}
