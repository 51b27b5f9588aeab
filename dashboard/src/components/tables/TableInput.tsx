/** A table that goes to the lab: a file of any encoding, or pasted text. */

import { FileInput, Textarea } from "@mantine/core";
import { useState } from "react";

import { bytes } from "../../format";

/** Typed text, or the bytes of a file in Base64: the lab detects their encoding. */
export type GivenTable = { csv: string } | { file: string };

export const NO_TABLE: GivenTable = { csv: "" };

export function isGiven(table: GivenTable): boolean {
  return "file" in table || table.csv.trim() !== "";
}

/** In Base64 it fits into the largest request with a table. */
const MAX_FILE_BYTES = 740_000;

/** Raises for a file that cannot be read any more, because it was changed or removed after it was chosen. */
async function bytesOf(file: File): Promise<GivenTable> {
  if (file.size > MAX_FILE_BYTES)
    throw new Error(`${file.name} has ${bytes(file.size)}; a table has at most ${bytes(MAX_FILE_BYTES)}.`);
  const content = new Uint8Array(await file.arrayBuffer());
  return { file: btoa(Array.from(content, (byte) => String.fromCharCode(byte)).join("")) };
}

interface TableInputProps {
  table: GivenTable;
  setTable: (table: GivenTable) => void;
  example: string;
}

export function TableInput({ table, setTable, example }: TableInputProps) {
  const [failure, setFailure] = useState<string | null>(null);
  async function choose(file: File | null) {
    setFailure(null);
    setTable(NO_TABLE);
    try {
      if (file !== null) setTable(await bytesOf(file));
    } catch (error) {
      setFailure((error as Error).message);
    }
  }
  return (
    <>
      <FileInput
        label="File"
        placeholder="Choose a CSV file"
        accept=".csv,text/csv,text/plain"
        clearable
        error={failure}
        onChange={(file) => void choose(file)}
      />
      <Textarea
        label="Or paste the table"
        placeholder={example}
        disabled={"file" in table}
        value={"file" in table ? "" : table.csv}
        onChange={(event) => setTable({ csv: event.currentTarget.value })}
        rows={7}
        spellCheck={false}
        styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: "0.8rem" } }}
      />
    </>
  );
}
