/** Commands and parameters as text, and what they stand for. */

import { readJson, writeJson } from "../../api/exact";
import { byName } from "../../format";

const WORD = /"((?:[^"\\]|\\.)*)"|'([^']*)'|((?:[^\s"'\\]|\\.)+)/g;

/** The words of a command line. Quotes hold a word together; no shell reads it. */
export function wordsOf(line: string): string[] {
  const words: string[] = [];
  let end = -1;
  for (const match of line.matchAll(WORD)) {
    const [whole, double, single, plain] = match;
    const word = single ?? (double ?? plain ?? "").replaceAll(/\\(.)/g, "$1");
    // `--name="a b"` is one word.
    if (match.index === end) words.push((words.pop() ?? "") + word);
    else words.push(word);
    end = match.index + whole.length;
  }
  return words;
}

export function lineOf(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`)).join(" ");
}

export interface Parameter {
  name: string;
  text: string;
}

/** A number, true, false or null as such; all else is text. */
export function valueOf(text: string): unknown {
  const typed = text.trim();
  if (!/^(true|false|null|-?[0-9].*)$/.test(typed)) return text;
  try {
    return readJson(typed);
  } catch {
    return text;
  }
}

export function parametersOf(rows: readonly Parameter[]): Record<string, unknown> {
  return Object.fromEntries(
    rows.filter((row) => row.name.trim() !== "").map((row) => [row.name.trim(), valueOf(row.text)]),
  );
}

export function rowsOf(parameters: unknown): Parameter[] {
  if (typeof parameters !== "object" || parameters === null) return [];
  return Object.entries(parameters).map(([name, entry]) => ({
    name,
    text: typeof entry === "string" ? entry : writeJson(entry),
  }));
}

/** What a run of a program starts: a notebook, or else a command. */
export interface Start {
  notebook: string | null;
  command: string;
}

/** How a program most likely starts. */
export function likelyStart(paths: readonly string[]): Start {
  const file = entryPoint(paths);
  return {
    notebook: file?.endsWith(".ipynb") ? file : null,
    command: lineOf(["python", file?.endsWith(".py") ? file : "main.py"]),
  };
}

/** The file that a program most likely starts with. */
function entryPoint(paths: readonly string[]): string | undefined {
  const shallow = [...paths].sort((a, b) => a.split("/").length - b.split("/").length || byName(a, b));
  const named = ["main.py", "train.py", "run.py"].find((name) => shallow.includes(name));
  return named ?? shallow.find((path) => path.endsWith(".py")) ?? shallow.find((path) => path.endsWith(".ipynb"));
}
