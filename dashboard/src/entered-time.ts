/** Times as fields take them, and as a request needs them. */

/** Without a maximum, browsers let a year have six digits, which no clock of the lab knows. */
export const TIME_FIELD = { type: "datetime-local", max: "9999-12-31T23:59" } as const;
export const DAY_FIELD = { type: "date", max: "9999-12-31" } as const;

/** Whether a field has a time that `instant` can read. */
export function isTime(entered: string): boolean {
  return !Number.isNaN(new Date(entered).getTime());
}

/** The time in the reader's zone: `2030-01-31T23:59`. */
export function local(moment: Date): string {
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** When clocks change, an hour comes twice; this is the first. */
export function instant(entered: string): string {
  return new Date(entered).toISOString();
}
