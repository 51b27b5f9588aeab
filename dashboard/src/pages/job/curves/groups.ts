/** Which curves of a run come first, and which belong together. */

import { words } from "../../../format";

export interface Curve {
  name: string;
}

export interface Groups<C> {
  /** Those that matter most. */
  first: C[];
  /** The others, by group. */
  rest: { name: string; curves: C[] }[];
}

export const MAX_FIRST = 3;
/** So few curves need no groups. */
const FEW = 4;
const OTHER = "Other";
const HELD_OUT = /(^|[_/.-])(val|valid|validation|test|eval|evaluation)([_/.-]|$)/i;
const QUANTITY = /(loss|accuracy|error|score|reward|f1|auc|perplexity|bleu|iou)s?$/i;

/** `directed` has the metrics whose experiment says that lower or higher is better, in its order. */
export function groupsOf<C extends Curve>(curves: readonly C[], directed: readonly string[]): Groups<C> {
  if (curves.length <= FEW) return { first: [...curves], rest: [] };
  const ranked = curves
    .map((curve, place) => ({ curve, rank: rankOf(curve.name, directed), place }))
    .sort((a, b) => b.rank - a.rank || a.place - b.place)
    .map(({ curve }) => curve);
  const first = ranked.slice(0, MAX_FIRST);
  const rest = new Map<string, C[]>();
  for (const curve of curves) {
    if (first.includes(curve)) continue;
    const name = groupOf(curve.name);
    rest.set(name, [...(rest.get(name) ?? []), curve]);
  }
  return { first, rest: withoutSingles([...rest].map(([name, own]) => ({ name, curves: own }))) };
}

/** A curve that would be alone in its group goes to the others, which come last. */
function withoutSingles<C extends Curve>(groups: Groups<C>["rest"]): Groups<C>["rest"] {
  const kept = groups.filter(({ name, curves }) => curves.length > 1 && name !== OTHER);
  const others = groups.filter((group) => !kept.includes(group)).flatMap(({ curves }) => curves);
  return others.length === 0 ? kept : [...kept, { name: OTHER, curves: others }];
}

/** What was measured on held-out data, what has a better direction, what is known to judge a model. */
function rankOf(name: string, directed: readonly string[]): number {
  const place = directed.indexOf(name);
  const declared = place < 0 ? 0 : 4 - place / (directed.length + 1);
  return declared + (HELD_OUT.test(name) ? 2 : 0) + (QUANTITY.test(name) ? 1 : 0);
}

/** `train` of `train/loss`; of a name without parts, its quantity. */
function groupOf(name: string): string {
  const at = name.indexOf("/");
  if (at > 0) return words(name.slice(0, at));
  const quantity = QUANTITY.exec(name)?.[1];
  return quantity === undefined ? OTHER : words(quantity.toLowerCase());
}
