/** Names and values, side by side. */

import { SimpleGrid, Text, Tooltip } from "@mantine/core";
import type { ReactNode } from "react";

import { bytes, quantity, value, words } from "../format";

export function Facts({
  facts,
  columns = { base: 2, sm: 3, lg: 6 },
}: {
  facts: [string, ReactNode][];
  columns?: Record<string, number>;
}) {
  return (
    <SimpleGrid component="dl" cols={columns} spacing="md" verticalSpacing="xs" m={0}>
      {facts.map(([name, fact]) => (
        <div key={name} style={{ minWidth: 0 }}>
          <Text component="dt" size="xs" c="dimmed">
            {name}
          </Text>
          <Text component="dd" size="sm" m={0} className="break numbers">
            {fact}
          </Text>
        </div>
      ))}
    </SimpleGrid>
  );
}

type Schema = Record<string, unknown> | undefined;

function propertiesOf(schema: Schema): Record<string, { description?: string }> {
  return (schema?.["properties"] ?? {}) as Record<string, { description?: string }>;
}

/** The object with its fields in the order of the schema; a database does not keep it. */
export function inOrder(given: Record<string, unknown>, schema: Schema): Record<string, unknown> {
  const known = Object.keys(propertiesOf(schema)).filter((name) => name in given);
  return Object.fromEntries(
    [...known, ...Object.keys(given).filter((name) => !known.includes(name))].map((name) => [name, given[name]]),
  );
}

function isSize(name: string, entry: unknown): entry is number {
  return name.endsWith("_bytes") && typeof entry === "number";
}

function nameOf(name: string, entry: unknown): string {
  return isSize(name, entry) ? quantity(name) : words(name);
}

/** The fields of an object as a table of two columns. A tooltip shows the description of a field. */
export function Fields({ of, label, schema }: { of: Record<string, unknown>; label: string; schema?: Schema }) {
  const about = propertiesOf(schema);
  return (
    <dl className="fields" aria-label={label}>
      {Object.entries(of).map(([name, entry]) => {
        const sentence = about[name]?.description;
        return (
          <div key={name}>
            <dt>
              {sentence === undefined ? (
                nameOf(name, entry)
              ) : (
                <Tooltip label={sentence} multiline maw={320}>
                  <span tabIndex={0}>{nameOf(name, entry)}</span>
                </Tooltip>
              )}
            </dt>
            <dd className="numbers">{isSize(name, entry) ? bytes(entry) : value(entry)}</dd>
          </div>
        );
      })}
    </dl>
  );
}
