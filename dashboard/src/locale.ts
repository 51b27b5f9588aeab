/**
 * The reader's language. Some browsers report a language that does not exist, such as "C". Every formatter for it fails,
 * and libraries create some while they load, so this module comes before all others.
 */

/** Of every sentence of the dashboard. */
export const PAGE_LANGUAGE = "en";

/** `de_DE.UTF-8` as `de-DE`; null if it is no language. */
function valid(tag: string): string | null {
  try {
    // `POSIX` has the form of a language and is none.
    return Intl.NumberFormat.supportedLocalesOf(tag.replace(/[.@].*$/, "").replaceAll("_", "-"))[0] ?? null;
  } catch {
    return null;
  }
}

function chosen(): string {
  // Their types promise both; browsers that are driven or embedded leave them out.
  const { language, languages } = navigator as Partial<Navigator>;
  for (const tag of [language, ...(languages ?? [])]) {
    const found = tag ? valid(tag) : null;
    if (found !== null) return found;
  }
  return PAGE_LANGUAGE;
}

export const LOCALE = chosen();

if (navigator.language !== LOCALE)
  Object.defineProperty(navigator, "language", { get: () => LOCALE, configurable: true });
