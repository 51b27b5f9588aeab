/** Which runs have a hue: no more than a reader can tell apart. The others are grey until they get one. */

import { useState } from "react";

import { GREY } from "../../charts/series";
import { SERIES_COLORS } from "../../theme";

export const MAX_HUES = SERIES_COLORS.light.length;

export interface Hues {
  /** The index of the run's hue, or grey. */
  of: (id: string) => number;
  /** Takes a run's hue away, or gives it one that is free. */
  flip: (id: string) => void;
  /** Whether a grey run can get a hue. */
  free: boolean;
}

/** At first, the first runs have the hues. */
export function useHues(ids: readonly string[]): Hues {
  const [held, hold] = useState<readonly (string | null)[] | null>(null);
  const slots = (held ?? ids.slice(0, MAX_HUES)).map((id) => (id !== null && ids.includes(id) ? id : null));
  const all = Array.from({ length: MAX_HUES }, (_, i) => slots[i] ?? null);
  const of = (id: string) => {
    const slot = all.indexOf(id);
    return slot < 0 ? GREY : slot;
  };
  function flip(id: string) {
    const slot = of(id) === GREY ? all.indexOf(null) : of(id);
    if (slot >= 0) hold(all.map((holder, i) => (i === slot ? (of(id) === GREY ? id : null) : holder)));
  }
  return { of, flip, free: all.includes(null) };
}
