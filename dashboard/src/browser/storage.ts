/** What the browser remembers of these pages. It may be full, or keep nothing for this site: then nothing is remembered. */

export function recall(place: string): string | null {
  try {
    return localStorage.getItem(place);
  } catch {
    return null;
  }
}

export function remember(place: string, text: string): void {
  try {
    localStorage.setItem(place, text);
  } catch {
    // The next visit asks again.
  }
}
