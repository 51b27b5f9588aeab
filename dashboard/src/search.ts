/** Reads the query of an address: a page gets a value that it expects, or nothing. */

export function text(given: unknown): string | undefined {
  if (typeof given === "string" && given !== "") return given;
  return typeof given === "number" ? String(given) : undefined;
}

export function oneOf<T extends string>(given: unknown, known: readonly T[]): T | undefined {
  return known.find((entry) => entry === given);
}

export function listOf<T extends string>(given: unknown, known: readonly T[]): T[] | undefined {
  const all: unknown[] = Array.isArray(given) ? given : [given];
  const found = known.filter((entry) => all.includes(entry));
  return found.length > 0 ? found : undefined;
}

export function strings(given: unknown): string[] | undefined {
  const all: unknown[] = Array.isArray(given) ? given : [given];
  const found = all.flatMap((entry) => text(entry) ?? []);
  return found.length > 0 ? found : undefined;
}

export function fields(given: unknown): Record<string, unknown> | undefined {
  return typeof given === "object" && given !== null && !Array.isArray(given) ? { ...given } : undefined;
}
