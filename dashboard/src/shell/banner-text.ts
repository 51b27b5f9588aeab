/** The text of a banner: plain, with links to http and https addresses, and which banners are shown. */

export interface Piece {
  text: string;
  /** Null for plain text. */
  href: string | null;
}

const ADDRESS = /https?:\/\/[^\s<>"']+/gi;
/** Marks of the sentence, not of the address. */
const ENDS = /[.,;:!?)\]]+$/;

export function linked(text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = found.replace(ENDS, "");
    if (!URL.canParse(address)) continue;
    if (index > from) pieces.push({ text: text.slice(from, index), href: null });
    pieces.push({ text: address, href: address });
    from = index + address.length;
  }
  if (from < text.length) pieces.push({ text: text.slice(from), href: null });
  return pieces;
}

/** The ids of dismissed banners that a browser kept; none if what it kept is broken. */
export function remembered(kept: string | null): string[] {
  try {
    const found: unknown = JSON.parse(kept ?? "[]");
    return Array.isArray(found) ? found.filter((id) => typeof id === "string") : [];
  } catch {
    return [];
  }
}

export function stillShown<B extends { id: string; ends_at: string | null }>(
  banners: B[],
  dismissed: string[],
  now: number,
): B[] {
  return banners.filter(
    ({ id, ends_at }) => !dismissed.includes(id) && (ends_at === null || Date.parse(ends_at) > now),
  );
}
