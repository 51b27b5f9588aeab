/** From the API's contract: its types, and the names of the fields whose numbers may be any. */

import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const CONTRACT = new URL("./openapi.json", import.meta.url);
const { NumberKeyword, BigIntKeyword } = ts.SyntaxKind;
const exact = [NumberKeyword, BigIntKeyword].map((kind) => ts.factory.createKeywordTypeNode(kind));

const types = await openapiTS(CONTRACT, {
  rootTypes: true,
  rootTypesNoSchemaPrefix: true,
  transform: (schema) => (schema.format === "int64" ? ts.factory.createUnionTypeNode(exact) : undefined),
});
writeFileSync(new URL("./src/api/schema.d.ts", import.meta.url), astToString(types));

/** Whether a value may hold an integer of any size: an int64, or JSON that the contract leaves open. */
function open(schema) {
  if (typeof schema !== "object" || schema === null) return schema === true;
  if (schema.format === "int64") return true;
  const says = Object.keys(schema).filter((key) => !["title", "description", "default", "examples"].includes(key));
  return (
    says.length === 0 ||
    [schema.additionalProperties, schema.items, ...(schema.anyOf ?? [])].some(
      (part) => part !== undefined && open(part),
    )
  );
}

const fields = Object.values(JSON.parse(readFileSync(CONTRACT, "utf8")).components.schemas).flatMap((one) =>
  Object.entries(one.properties ?? {}),
);
const closed = new Set(fields.filter(([, schema]) => !open(schema)).map(([name]) => name));
const names = [...new Set(fields.map(([name]) => name))].filter((name) => !closed.has(name)).sort();
writeFileSync(
  new URL("./src/api/exact-fields.ts", import.meta.url),
  `/** Made from the contract. The fields that may hold integers of any size. */\nexport const EXACT_FIELDS: ReadonlySet<string> = new Set(${JSON.stringify(names)});\n`,
);
