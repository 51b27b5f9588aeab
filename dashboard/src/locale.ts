/**
 * The reader's language. Some browsers name none that is one ("C", as their system does), and everything that makes a
 * formatter of it then fails; libraries do so while they load. So this module comes before all others.
 */

const FALLBACK = "en";

/** `de_DE.UTF-8` as `de-DE`; null where no language is named. */
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
