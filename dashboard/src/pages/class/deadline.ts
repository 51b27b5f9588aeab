/** Deadlines as a date field takes them, and as a request needs them. */

/** The time in the reader's zone: `2030-01-31T23:59`. */
export function local(moment: Date): string {
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** When clocks change, an hour comes twice; this is the first. */
export function instant(deadline: string): string {
  return new Date(deadline).toISOString();
}
