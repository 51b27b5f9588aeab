/** The causes of a memory peak, in the order of the bars, each with its own hue. */

import type { Parts } from "../../api/schema";

export const CAUSES = {
  parameters: "Parameters and buffers",
  gradients: "Gradients",
  optimizer: "Optimizer state",
  activations: "Activations",
  batch: "Images and labels",
  temporary: "Temporary",
  workspace: "Workspace",
  allocator: "Rounding and fragmentation",
  context: "CUDA context",
} as const;

export type Cause = keyof typeof CAUSES;
export type Sizes = Partial<Record<Cause, number>>;

const OF_FIELD: Record<string, Cause> = {
  parameters_bytes: "parameters",
  buffers_bytes: "parameters",
  gradients_bytes: "gradients",
  optimizer_state_bytes: "optimizer",
  activations_bytes: "activations",
  batch_bytes: "batch",
  temporary_bytes: "temporary",
  workspace_bytes: "workspace",
  rounding_bytes: "allocator",
  fragmentation_bytes: "allocator",
} satisfies Partial<Record<keyof Parts, Cause>>;

/** Bytes by field, as the lab sends them, by cause. */
export function byCause(held: Readonly<Record<string, unknown>>): Sizes {
  const sizes: Sizes = {};
  for (const [field, size] of Object.entries(held)) {
    const cause = OF_FIELD[field];
    if (cause !== undefined && typeof size === "number") sizes[cause] = (sizes[cause] ?? 0) + size;
  }
  return sizes;
}

export function added(one: Sizes, other: Sizes): Sizes {
  const sum = { ...one };
  for (const [cause, size] of entries(other)) sum[cause] = (sum[cause] ?? 0) + size;
  return sum;
}

export function totalOf(sizes: Sizes): number {
  return entries(sizes).reduce((sum, [, size]) => sum + size, 0);
}

/** Those that are there, in the order of the bars. */
export function entries(sizes: Sizes): [Cause, number][] {
  return (Object.keys(CAUSES) as Cause[]).flatMap((cause) => {
    const size = sizes[cause] ?? 0;
    return size > 0 ? [[cause, size] as [Cause, number]] : [];
  });
}

/** The causes side by side, as a background. */
export function mixOf(sizes: Sizes): string {
  const total = totalOf(sizes);
  let from = 0;
  const stops = entries(sizes).map(([cause, size]) => {
    const to = from + (100 * size) / total;
    const stop = `var(--cause-${cause}) ${from.toFixed(2)}% ${to.toFixed(2)}%`;
    from = to;
    return stop;
  });
  return stops.length === 0 ? "none" : `linear-gradient(90deg, ${stops.join(", ")})`;
}
