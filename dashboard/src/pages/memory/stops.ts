/** The batch sizes that a slider stops at: each is asked for, and nothing between them is guessed. */

const FIRST_TOP = 1024;

export interface Range {
  min: number;
  max: number;
}

/** Powers of two within the range, and those given; twice the largest batch that fits is the end, where it is known. */
export function stopsOf({ min, max }: Range, given: readonly (number | null)[], largest: number | null): number[] {
  const known = given.filter((size): size is number => size !== null && size >= min && size <= max);
  const top = Math.min(max, Math.max(largest === null ? FIRST_TOP : 2 * largest, ...known, min));
  const stops = new Set([min, ...known]);
  for (let size = 1; size <= max; size *= 2) {
    if (size >= min) stops.add(size);
    if (size >= top) break;
  }
  return [...stops].sort((a, b) => a - b);
}

/** The stops next to a batch size: what the slider is likely to reach next. */
export function neighboursOf(stops: readonly number[], size: number): number[] {
  const above = stops.find((stop) => stop > size);
  const below = stops.findLast((stop) => stop < size);
  return [above, below].filter((stop) => stop !== undefined);
}
