/** The peak as a tree of modules, and the part of it that is drawn. */

import type { BytesInterval, ModuleMemory, Parts } from "../../api/schema";
import { counted } from "../../format";
import { added, byCause, totalOf, type Sizes } from "./causes";

export interface Peak {
  modules?: readonly ModuleMemory[] | null | undefined;
  parts: Parts | null;
  peak_device_bytes: BytesInterval | null;
}

export interface Block {
  /** Stays the same from one prediction to the next. */
  key: string;
  name: string;
  /** Class of the module. */
  kind: string | null;
  /** With all that is in it. */
  sizes: Sizes;
  total: number;
  children: Block[];
}

/** Where a block is drawn: shares of the width, and the row. */
export interface Place {
  block: Block;
  from: number;
  width: number;
  row: number;
}

const WHOLE = "peak";
const MODEL = "model";
const MAX_ROWS = 6;
const MIN_WIDTH = 0.006;

/** Null where the lab knows the sum alone. */
export function treeOf(peak: Peak): Block | null {
  const { parts, modules } = peak;
  if (parts === null || !modules || modules.length === 0) return null;
  const outside = modules.filter((row) => row.path === null).map((row) => byCause(row.held_bytes));
  const loose = outside.reduce(added, {});
  const leaves: [string, string, Sizes][] = [
    ["batch", "Images and labels", { batch: loose.batch }],
    ["step", "Loss and optimizer's step", { ...loose, batch: 0 }],
    ["rounding", "Rounding", byCause({ rounding_bytes: parts.rounding_bytes })],
    ["fragmentation", "Fragmentation", byCause({ fragmentation_bytes: parts.fragmentation_bytes })],
    ["context", "CUDA context", { context: parts.cuda_context.likely_bytes }],
  ];
  const children = [
    modelOf(modules),
    ...leaves.map(([key, name, sizes]) => branch(`${WHOLE}/${key}`, name, null, sizes, [])),
  ];
  return branch(
    WHOLE,
    "Peak",
    null,
    {},
    children.filter((child) => child.total > 0),
  );
}

interface Draft {
  kind: string | null;
  own: Sizes;
  rest: [number, Sizes] | null;
  below: Map<string, Draft>;
}

function modelOf(rows: readonly ModuleMemory[]): Block {
  const top = draft();
  for (const { path, kind, folded, held_bytes } of rows) {
    if (path === null) continue;
    let place = top;
    for (const name of path === "" ? [] : path.split(".")) {
      if (!place.below.has(name)) place.below.set(name, draft());
      place = place.below.get(name)!;
    }
    if (folded) place.rest = [folded, byCause(held_bytes)];
    else [place.kind, place.own] = [kind, byCause(held_bytes)];
  }
  return finished(MODEL, "Model", top);
}

function draft(): Draft {
  return { kind: null, own: {}, rest: null, below: new Map() };
}

function finished(key: string, name: string, { kind, own, rest, below }: Draft): Block {
  const children = [...below].map(([part, one]) => finished(`${key}.${part}`, part, one));
  if (rest !== null) children.push(branch(`${key}.*`, counted(rest[0], "small module"), null, rest[1], []));
  // What a module holds beside its parts is drawn like one of them.
  if (children.length > 0 && totalOf(own) > 0) children.unshift(branch(`${key}.=`, "its own", null, own, []));
  return branch(key, name, kind, children.length > 0 ? {} : own, children);
}

function branch(key: string, name: string, kind: string | null, own: Sizes, children: Block[]): Block {
  const sizes = children.reduce((sum, child) => added(sum, child.sizes), own);
  return { key, name, kind, sizes, total: totalOf(sizes), children };
}

/** The blocks from the top to the one with the key; null where there is none. */
export function pathTo(top: Block, key: string): Block[] | null {
  if (top.key === key) return [top];
  for (const child of top.children) {
    const found = pathTo(child, key);
    if (found !== null) return [top, ...found];
  }
  return null;
}

/** What is drawn of a block: itself and what is in it. Blocks too narrow to see are drawn as one. */
export function placesOf(top: Block): Place[] {
  const places: Place[] = [];
  const draw = (block: Block, from: number, row: number) => {
    const width = block.total / top.total;
    places.push({ block, from, width, row });
    if (row + 1 >= MAX_ROWS) return;
    let at = from;
    const wide = block.children.filter((child) => child.total / top.total >= MIN_WIDTH);
    for (const child of wide) {
      draw(child, at, row + 1);
      at += child.total / top.total;
    }
    const narrow = block.children.filter((child) => !wide.includes(child));
    if (narrow.length === 0) return;
    const only = narrow[0]!;
    const all = narrow.length === 1 ? only : branch(`${block.key}.~`, `${narrow.length} more`, null, {}, narrow);
    if (all.total > 0) places.push({ block: all, from: at, width: all.total / top.total, row: row + 1 });
  };
  draw(top, 0, 0);
  return places;
}

/** Every block with how deep it is, for a table. */
export function rowsOf(top: Block, depth = 0): [Block, number][] {
  return [[top, depth], ...top.children.flatMap((child) => rowsOf(child, depth + 1))];
}
