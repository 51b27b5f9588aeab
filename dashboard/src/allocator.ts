/** Reads the allocator's state as `experiments/memory/snapshot.py` writes it. */

export interface Block {
  bytes: number;
  frames: string[];
}

export interface Segment {
  bytes: number;
  heldBytes: number;
  live: { offset: number; bytes: number }[];
}

export interface Snapshot {
  allocatedBytes: number;
  /** Null at the peak, which comes from the history and not from segments. */
  reservedBytes: number | null;
  live: Block[];
  segments: Segment[];
}

export interface Holder {
  frames: string[];
  bytes: number;
  blocks: number;
}

interface KeptBlock {
  size_bytes: number;
  offset_bytes?: number;
  live?: boolean;
  frames?: string[];
}

interface Kept {
  allocated_bytes: number;
  reserved_bytes?: number;
  blocks?: KeptBlock[];
  segments?: { size_bytes: number; allocated_bytes: number; blocks: KeptBlock[] }[];
}

/** Null if it is no snapshot: a run may save any file under that name. */
export function parsedSnapshot(text: string): Snapshot | null {
  let kept: Kept;
  try {
    kept = JSON.parse(text) as Kept;
    if (typeof kept.allocated_bytes !== "number" || !(Array.isArray(kept.blocks) || Array.isArray(kept.segments)))
      return null;
    const segments = (kept.segments ?? []).map(segmentOf);
    const blocks = kept.blocks ?? kept.segments!.flatMap((segment) => segment.blocks.filter((block) => block.live));
    const live = blocks.map((block) => ({ bytes: sizeOf(block.size_bytes), frames: textsOf(block.frames) }));
    return { allocatedBytes: kept.allocated_bytes, reservedBytes: kept.reserved_bytes ?? null, live, segments };
  } catch {
    return null;
  }
}

function sizeOf(given: unknown): number {
  if (typeof given !== "number") throw new TypeError("a size is a number");
  return given;
}

function textsOf(given: unknown): string[] {
  return Array.isArray(given) ? given.filter((line) => typeof line === "string") : [];
}

function segmentOf(kept: NonNullable<Kept["segments"]>[number]): Segment {
  const live = kept.blocks
    .filter((block) => block.live)
    .map((block) => ({ offset: sizeOf(block.offset_bytes ?? 0), bytes: sizeOf(block.size_bytes) }));
  return { bytes: sizeOf(kept.size_bytes), heldBytes: sizeOf(kept.allocated_bytes), live };
}

/** Blocks by the code that allocated them, largest first. */
export function heldBy(blocks: readonly Block[]): Holder[] {
  const found = new Map<string, Holder>();
  for (const { frames, bytes } of blocks) {
    const key = frames.join("\n");
    const holder = found.get(key) ?? { frames, bytes: 0, blocks: 0 };
    found.set(key, { frames, bytes: holder.bytes + bytes, blocks: holder.blocks + 1 });
  }
  return [...found.values()].sort((a, b) => b.bytes - a.bytes);
}
