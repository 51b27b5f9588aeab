/** One action on many students, a part at a time; what went wrong in a part is said for its students. */

import type { StudentsDone, TileRead } from "../../../api/schema";

export async function inParts(
  people: readonly Pick<TileRead, "user_id" | "name">[],
  size: number,
  send: (ids: string[]) => Promise<StudentsDone>,
  progress: (finished: number) => void,
): Promise<StudentsDone> {
  const all: StudentsDone = { done: 0, runs: 0, not_done: [] };
  for (let at = 0; at < people.length; at += size) {
    const part = people.slice(at, at + size).map(({ user_id }) => user_id);
    try {
      const { done, runs, not_done } = await send(part);
      all.done += done;
      all.runs += runs;
      all.not_done.push(...not_done);
    } catch (error) {
      // Nothing was done yet: the form shows why, and can be sent again.
      if (at === 0) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      all.not_done.push(...people.slice(at).map(({ user_id, name }) => ({ user_id, user: name, reason })));
      break;
    }
    progress(at + part.length);
  }
  return all;
}
