/** Which fields of an experiment's spec change its memory and can be tried, as its schema has them. */

import { fieldOf, propertiesOf } from "../submit/schema";
import type { Range } from "./stops";

type Schema = Record<string, unknown>;

const CHOSEN = ["precision", "optimizer"] as const;
const MAX_BATCH = 65_536;

export interface Choice {
  name: string;
  options: string[];
}

export interface Tryable {
  batch: Range | null;
  choices: Choice[];
  checkpointing: boolean;
}

export function tryableOf(schema: Schema): Tryable {
  const has = (name: string) => name in propertiesOf(schema);
  const batch = fieldOf(schema, "batch_size");
  return {
    batch:
      has("batch_size") && batch.type === "integer"
        ? { min: batch.minimum ?? 1, max: batch.maximum ?? MAX_BATCH }
        : null,
    choices: CHOSEN.filter(has)
      .map((name) => ({ name, options: (fieldOf(schema, name).enum ?? []).filter((one) => typeof one === "string") }))
      .filter(({ options }) => options.length > 1),
    checkpointing: has("checkpointing") && fieldOf(schema, "checkpointing").type === "boolean",
  };
}

/** A field as the run will have it: as given, else the default. */
export function valueOf(schema: Schema, spec: Schema, name: string): unknown {
  return spec[name] ?? fieldOf(schema, name).default;
}

/** What is tried, without what the spec says anyway. */
export function changeOf(schema: Schema, spec: Schema, tried: Schema): Schema {
  return Object.fromEntries(Object.entries(tried).filter(([name, entry]) => entry !== valueOf(schema, spec, name)));
}
