/** What a terminal would show of a program's output, as plain text: no codes, and of a progress bar its last state. */

import { parse, TOKEN_TYPES } from "@ansi-tools/parser";

// Neither printed nor a code that the parser takes: bells, nulls and the like.
const INVISIBLE = /[\u0000-\u0007\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;
const CODES = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

/** One line; a code that is not ended ends with it. */
export function shownLine(line: string): string {
  if (!CODES.test(line)) return line;
  const codes = parse(line.endsWith("\r") ? line.slice(0, -1) : line);
  const plain = codes.every((code) => code.type !== TOKEN_TYPES.TEXT || !/[\r\b]/.test(code.raw));
  if (plain)
    return codes.map((code) => (code.type === TOKEN_TYPES.TEXT ? code.raw.replaceAll(INVISIBLE, "") : "")).join("");
  const row = new Row();
  for (const code of codes) {
    if (code.type === TOKEN_TYPES.TEXT) row.write(code.raw.replaceAll(INVISIBLE, ""));
    else if (code.type === "CSI" && code.command === "K") row.erase(code.params[0] ?? "0");
  }
  return row.text();
}

/** A line that is written over: a return goes back to its start, and what follows replaces what stood there. */
class Row {
  private readonly cells: string[] = [];
  private at = 0;

  write(text: string): void {
    for (const character of text) {
      if (character === "\r") this.at = 0;
      else if (character === "\b") this.at = Math.max(0, this.at - 1);
      else this.cells[this.at++] = character;
    }
  }

  erase(part: string): void {
    if (part === "0") this.cells.length = Math.min(this.cells.length, this.at);
    else this.cells.fill(" ", 0, part === "1" ? this.at + 1 : undefined);
  }

  text(): string {
    return Array.from(this.cells, (cell: string | undefined) => cell ?? " ")
      .join("")
      .trimEnd();
  }
}

export interface Piece {
  text: string;
}

/** Lines of a piece that are over, and the beginning of the next one. */
interface Read {
  lines: string[];
  rest: string;
}

const known = new WeakMap<Piece, Read & { after: string }>();

/** The lines of an output that came in pieces. Only the last piece is new: what was read of the others is kept. */
export function shownLines(pieces: readonly Piece[]): string[] {
  let rest = "";
  const parts = pieces.map((piece) => {
    const found = readAfter(rest, piece);
    rest = found.rest;
    return found.lines;
  });
  return [...parts.flat(), ...(rest === "" ? [] : [shownLine(rest)])];
}

function readAfter(before: string, piece: Piece): Read {
  const kept = known.get(piece);
  if (kept?.after === before) return kept;
  const lines = (before + piece.text).split("\n");
  const rest = lines.pop() ?? "";
  const found = { lines: lines.map(shownLine), rest, after: before };
  known.set(piece, found);
  return found;
}
