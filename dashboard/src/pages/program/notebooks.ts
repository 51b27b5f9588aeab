/** A notebook's cells and outputs, read with distrust: whatever is not as expected is left out. */

export type Output =
  { kind: "text" | "error"; text: string } | { kind: "html"; html: string } | { kind: "image"; source: string };

export interface Cell {
  kind: "code" | "text";
  source: string;
  count: number | null;
  outputs: Output[];
}

const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const ESCAPES = /\u001b\[[0-9;]*[A-Za-z]/g;
const BASE64 = /^[A-Za-z0-9+/=\s]+$/;

export interface Excerpt {
  cell: Cell;
  outputs: Output[];
  /** How many outputs of the cell are left out. */
  hidden: number;
}

/** As many cells and outputs as a page can hold: a loop that displays something makes thousands of them. */
export function excerpts(cells: readonly Cell[], maxCells: number, maxOutputs: number): Excerpt[] {
  let left = maxOutputs;
  return cells.slice(0, maxCells).map((cell) => {
    const outputs = cell.outputs.slice(0, left);
    left -= outputs.length;
    return { cell, outputs, hidden: cell.outputs.length - outputs.length };
  });
}

/** Null for what is no notebook. */
export function parsedNotebook(text: string): Cell[] | null {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return null;
  }
  const cells = fieldOf(given, "cells");
  return Array.isArray(cells) ? cells.map(cellOf) : null;
}

function fieldOf(given: unknown, name: string): unknown {
  return typeof given === "object" && given !== null ? (given as Record<string, unknown>)[name] : undefined;
}

/** Text is one string, or a list of lines. */
function textOf(given: unknown): string {
  if (typeof given === "string") return given;
  return Array.isArray(given) ? given.filter((line) => typeof line === "string").join("") : "";
}

function cellOf(given: unknown): Cell {
  const count = fieldOf(given, "execution_count");
  const outputs = fieldOf(given, "outputs");
  return {
    kind: fieldOf(given, "cell_type") === "code" ? "code" : "text",
    source: textOf(fieldOf(given, "source")),
    count: typeof count === "number" ? count : null,
    outputs: Array.isArray(outputs) ? outputs.flatMap((output) => outputOf(output) ?? []) : [],
  };
}

function outputOf(given: unknown): Output | null {
  const type = fieldOf(given, "output_type");
  if (type === "stream") return { kind: "text", text: textOf(fieldOf(given, "text")).replaceAll(ESCAPES, "") };
  if (type === "error") {
    const lines = fieldOf(given, "traceback");
    const text = Array.isArray(lines) ? lines.filter((line) => typeof line === "string").join("\n") : "";
    return { kind: "error", text: text.replaceAll(ESCAPES, "") };
  }
  return dataOf(fieldOf(given, "data"));
}

/** The richest form that shows without a script. */
function dataOf(data: unknown): Output | null {
  for (const type of IMAGES) {
    const source = textOf(fieldOf(data, type));
    if (source !== "" && BASE64.test(source)) {
      return { kind: "image", source: `data:${type};base64,${source.replaceAll(/\s/g, "")}` };
    }
  }
  const html = textOf(fieldOf(data, "text/html"));
  if (html !== "") return { kind: "html", html };
  const text = textOf(fieldOf(data, "text/plain"));
  return text === "" ? null : { kind: "text", text };
}
