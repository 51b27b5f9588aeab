/** Schemas as the form library needs them, and a validator for it that compiles no code at run time. */

import { Validator, type Schema } from "@cfworker/json-schema";
import type { ErrorSchema, RJSFSchema, ValidatorType } from "@rjsf/utils";

import { aboutField } from "../../api/invalid";
import type { InvalidField } from "../../api/schema";
import { words } from "../../format";

/**
 * The lab checks the input with every rule of the experiment. The form only asks which of several shapes a value has.
 * The library's own validator compiles schemas into functions, which the content security policy forbids.
 */
export const validator: ValidatorType = {
  validateFormData: () => ({ errors: [], errorSchema: {} }),
  rawValidation: () => ({ errors: [] }),
  isValid: (schema, formData, root) => {
    try {
      const whole = { ...schema, $defs: root["$defs"], definitions: root.definitions } as Schema;
      return new Validator(whole, "2020-12").validate(formData).valid;
    } catch {
      return false;
    }
  },
};

/** The schema with readable titles. A field of "a value or null" becomes a field that may stay empty. */
export function formSchema(given: Record<string, unknown>, without: readonly string[] = []): RJSFSchema {
  const properties = Object.entries(propertiesOf(given)).filter(([name]) => !without.includes(name));
  return {
    ...given,
    title: undefined,
    description: undefined,
    properties: Object.fromEntries(
      properties.map(([name, field]) => [
        name,
        { ...simpler(field), title: words(name), description: plain(field.description) },
      ]),
    ),
  };
}

export function propertiesOf(schema: Record<string, unknown>): Record<string, RJSFSchema> {
  return (schema["properties"] ?? {}) as Record<string, RJSFSchema>;
}

/** The schema of a field: the only shape of "a value or null", with its reference resolved. */
export function fieldOf(schema: Record<string, unknown>, name: string): RJSFSchema {
  const field = simpler(propertiesOf(schema)[name] ?? {});
  const target = typeof field.$ref === "string" ? field.$ref.split("/").at(-1) : undefined;
  const shapes = (schema["$defs"] ?? {}) as Record<string, RJSFSchema>;
  return target === undefined ? field : { ...shapes[target], ...field };
}

/** Whether the form of a field fills the page: a list of numbers, or of lists. */
export function isBulky(field: RJSFSchema): boolean {
  const { items } = field;
  const type = typeof items === "object" && !Array.isArray(items) ? items.type : undefined;
  return field.type === "array" && type !== undefined && type !== "string";
}

/** A description written for the API, in the form's words: no code marks, and null is an empty field. */
function plain(sentence: string | undefined): string | undefined {
  return sentence?.replaceAll("`", "").replaceAll(/\bnull\b/g, "empty");
}

function simpler(field: RJSFSchema): RJSFSchema {
  const choices = field.anyOf as RJSFSchema[] | undefined;
  const rest = choices?.filter((choice) => choice.type !== "null");
  const only = rest?.[0];
  if (choices === undefined || rest?.length !== 1 || only === undefined) return field;
  const { anyOf: _, default: preset, ...around } = field;
  return { ...only, ...around, ...(preset === null ? {} : { default: preset }) };
}

/** The spec without empty fields; the lab fills in its defaults. */
export function filled(spec: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(spec).filter(([, entry]) => entry !== undefined && entry !== null && entry !== ""),
  );
}

/** The API's errors in the spec, at their fields. */
export function errorsOf(fields: readonly InvalidField[]): ErrorSchema {
  const found: ErrorSchema = {};
  for (const field of fields) {
    const [first, ...parts] = field.path.split(".");
    if (first !== "spec") continue;
    let place = found as Record<string, ErrorSchema> & ErrorSchema;
    for (const part of parts) place = (place[part] ??= {}) as typeof place;
    place.__errors = [...(place.__errors ?? []), aboutField(field)];
  }
  return found;
}
