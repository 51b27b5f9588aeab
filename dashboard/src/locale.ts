/**
 * The reader's language. Some browsers report a language that does not exist, such as "C". Every formatter for it fails,
 * and libraries create some while they load, so this module comes before all others.
 */

const FALLBACK = "en";

/** `de_DE.UTF-8` as `de-DE`; null if it is no language. */
function valid(tag: string): string | null {
  try {
    return Intl.getCanonicalLocales(tag.replace(/[.@].*$/, "").replaceAll("_", "-"))[0] ?? null;
  } catch {
    return null;
  }
}

function chosen(): string {
  for (const tag of [navigator.language, ...navigator.languages]) {
    const found = tag ? valid(tag) : null;
    if (found !== null) return found;
  }
  return FALLBACK;
}

export const LOCALE = chosen();

if (navigator.language !== LOCALE)
  Object.defineProperty(navigator, "language", { get: () => LOCALE, configurable: true });
