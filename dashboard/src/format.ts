/** Numbers, sizes and times in the reader's language and time zone. */

import { writeJson } from "./api/exact";
import { LOCALE, PAGE_LANGUAGE } from "./locale";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const NOTHING = "–";

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOTHING;
  const power = value < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.abs(value)) / 10));
  const scaled = value / 2 ** (10 * power);
  const digits = power === 0 || scaled >= 100 ? 0 : 1;
  return `${scaled.toLocaleString(LOCALE, { maximumFractionDigits: digits })} ${UNITS[power]}`;
}

export function integer(value: number | bigint): string {
  return value.toLocaleString(LOCALE);
}

export function number(value: number | null | undefined, significant = 4): string {
  if (value === null || value === undefined) return NOTHING;
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e12) return integer(value);
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e9) return value.toExponential(significant - 1).replace("e+", "e");
  return value.toLocaleString(LOCALE, { maximumSignificantDigits: significant });
}

/** `1 run`, `2 runs`, `1,000 runs`. */
export function counted(count: number, thing: string): string {
  return `${integer(count)} ${thing}${count === 1 ? "" : "s"}`;
}

/** Names that repeat once, with their number: `emulated T4`, `2 × Tesla T4`. */
export function tally(names: readonly string[] = []): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count === 1 ? name : `${integer(count)} × ${name}`)).join(", ");
}

/** Alphabetical order in the reader's language. */
export const byName = new Intl.Collator(LOCALE).compare;

export function percent(value: number | null | undefined): string {
  return value === null || value === undefined ? NOTHING : `${Math.round(value)} %`;
}

export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || seconds < 0) return NOTHING;
  if (seconds > 0 && seconds < 0.1) return `${Math.ceil(seconds * 1000)} ms`;
  if (seconds < 10 && !Number.isInteger(seconds)) return `${seconds.toFixed(1)} s`;
  if (seconds < MINUTE) return `${Math.round(seconds)} s`;
  if (seconds < HOUR) return pair(seconds, MINUTE, "min", 1, "s");
  if (seconds < DAY) return pair(seconds, HOUR, "h", MINUTE, "min");
  return pair(seconds, DAY, "d", HOUR, "h");
}

function pair(seconds: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${largeName}` + (rest > 0 ? ` ${rest} ${smallName}` : "");
}

// Words stand in the middle of English sentences: "Due tomorrow".
const relative = new Intl.RelativeTimeFormat(PAGE_LANGUAGE, { numeric: "auto" });

export function ago(moment: string | Date, now: number): string {
  const seconds = (new Date(moment).getTime() - now) / 1000;
  const size = Math.abs(seconds);
  if (size < 5) return "now";
  if (size < MINUTE) return relative.format(Math.round(seconds), "second");
  if (size < HOUR) return relative.format(Math.round(seconds / MINUTE), "minute");
  if (size < DAY) return relative.format(Math.round(seconds / HOUR), "hour");
  return relative.format(Math.round(seconds / DAY), "day");
}

/** `Due in 2 days`, `Was due yesterday`. */
export function whenDue(deadline: string, now: number): string {
  return `${Date.parse(deadline) > now ? "Due" : "Was due"} ${ago(deadline, now)}`;
}

const exact = new Intl.DateTimeFormat(LOCALE, {
  dateStyle: "medium",
  timeStyle: "long",
});

/** The name of a time zone, if the browser has one: some say `Etc/Unknown`. */
export function zoneOf(name: string | undefined): string | null {
  return name === undefined || name === "" || name === "Etc/Unknown" ? null : name;
}

/** The reader's time zone, if the browser knows it. */
export const TIME_ZONE = zoneOf(exact.resolvedOptions().timeZone);

const day = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short" });
const dayAndMinute = new Intl.DateTimeFormat(LOCALE, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});

/** A short date, optionally with its time. */
export function shortTime(moment: Date, withTime: boolean): string {
  return (withTime ? dayAndMinute : day).format(moment);
}

export function fullTime(moment: string | Date): string {
  return exact.format(new Date(moment));
}

const exactMinute = new Intl.DateTimeFormat(LOCALE, {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  timeZoneName: "short",
});

/** A time that somebody set, such as a deadline: nobody sets the seconds. */
export function setTime(moment: string | Date): string {
  return exactMinute.format(new Date(moment));
}

export function secondsBetween(start: string | null, end: string | null, now: number): number | null {
  if (start === null) return null;
  return ((end === null ? now : new Date(end).getTime()) - new Date(start).getTime()) / 1000;
}

/** `gpu_memory_bytes` as `GPU memory bytes`. */
export function words(name: string): string {
  const spaced = name.replaceAll(/[_-]+/g, " ").trim();
  const upper = spaced.charAt(0).toUpperCase() + spaced.slice(1);
  return upper.replaceAll(/\b(gpu|cpu|gpus|sd|ci)\b/gi, (word) => word.toUpperCase().replace("GPUS", "GPUs"));
}

/** As `words`, where the values are written with their unit: `peak_device_bytes` as `Peak device`. */
export function quantity(name: string): string {
  return words(name.replace(/_bytes$/, ""));
}

/** A part of a line as a sentence. */
export function sentence(part: string): string {
  return part.charAt(0).toUpperCase() + part.slice(1) + (/[.!?]$/.test(part) ? "" : ".");
}

/** `node.set_aside` as `Set aside`: the page shows whose event it is. */
export function eventName(type: string): string {
  return words(type.slice(type.indexOf(".") + 1));
}

/** Where 1.5 is written as 1,5, a comma between numbers could not be told from one within. */
const LIST_SEPARATOR = (1.5).toLocaleString(LOCALE).includes(",") ? "; " : ", ";

/** A value of a spec or a result on one line. */
export function value(given: unknown): string {
  if (given === null || given === undefined) return NOTHING;
  if (typeof given === "number") return number(given, 6);
  if (typeof given === "bigint") return integer(given);
  if (typeof given === "boolean") return given ? "yes" : "no";
  if (typeof given === "string") return given;
  if (Array.isArray(given) && given.every((entry) => typeof entry !== "object"))
    return `[${given.map(value).join(LIST_SEPARATOR)}]`;
  return writeJson(given);
}
