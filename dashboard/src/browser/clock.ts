/**
 * The lab's time. A laptop's clock may be hours off: a job that starts now would have started "in 2 hours". Every response
 * says when the lab sent it, to the second.
 */

const TRUSTED_MILLISECONDS = 5_000;
let ahead = 0;

/** Compares the clock with the `Date` of a response that has just arrived. */
export function hear(date: string | null, clock = Date.now()): void {
  const sent = date === null ? NaN : Date.parse(date);
  if (Number.isNaN(sent)) return;
  const off = sent - clock;
  // Smaller differences are the response's way, and would move the time back and forth.
  ahead = Math.abs(off) < TRUSTED_MILLISECONDS ? 0 : Math.abs(off - ahead) < TRUSTED_MILLISECONDS ? ahead : off;
}

/** Milliseconds since 1970. */
export function now(): number {
  return Date.now() + ahead;
}
