/** What is new in the lab since the version that a user saw last. */

export interface Release {
  version: string;
  date: string | null;
  sections: { title: string; groups: { title: string | null; entries: string[] }[] }[];
}

/** Releases after the one seen, the newest first. The newest alone if that one is unknown. */
export function since(releases: readonly Release[], seen: string | null): Release[] {
  const at = releases.findIndex(({ version }) => version === seen);
  return releases.slice(0, Math.max(1, at));
}

export interface Piece {
  text: string;
  code: boolean;
}

/** An entry in Markdown: its code apart, links as their words, without marks of emphasis. */
export function pieces(entry: string): Piece[] {
  return entry
    .split(/(`[^`]+`)/)
    .map((part) => {
      const code = /^`[^`]+`$/.test(part);
      return { text: code ? part.slice(1, -1) : plain(part), code };
    })
    .filter(({ text }) => text !== "");
}

function plain(text: string): string {
  return text.replaceAll(/\[([^\]]+)\]\([^)]*\)/g, "$1").replaceAll(/(\*{1,2})([^*\s](?:[^*]*[^*\s])?)\1/g, "$2");
}
