/** A table that goes to the lab: a file of any encoding, or pasted text. */

import { FileInput, Textarea } from "@mantine/core";

/** Typed text, or the bytes of a file in Base64: the lab detects their encoding. */
export type GivenTable = { csv: string } | { file: string };

export const NO_TABLE: GivenTable = { csv: "" };

export function isGiven(table: GivenTable): boolean {
  return "file" in table || table.csv.trim() !== "";
}

async function bytesOf(file: File): Promise<GivenTable> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  return { file: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) };
}

interface TableInputProps {
  table: GivenTable;
  setTable: (table: GivenTable) => void;
  example: string;
}

export function TableInput({ table, setTable, example }: TableInputProps) {
  return (
    <>
      <FileInput
        label="File"
        placeholder="Choose a CSV file"
        accept=".csv,text/csv,text/plain"
        clearable
        onChange={(file) => {
          if (file === null) setTable(NO_TABLE);
          else void bytesOf(file).then(setTable);
        }}
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
