/** Whether a run fits on any GPU of the lab, in one sentence. */

import type { EstimateRead, GpuVerdict } from "../../api/schema";
import { FIT, fitLook, type Look } from "../../components/State";
import { bytes, integer } from "../../format";

export interface Verdict {
  fits: boolean;
  look: Look;
  text: string;
}

/** Shown instead of a prediction. */
export const CORRECT_FIRST = new Error("Correct the form to see a prediction.");

/** The best verdict of the lab's GPUs; of equal ones, that of the largest card. */
export function bestOf(gpus: readonly GpuVerdict[]): GpuVerdict | undefined {
  const order = Object.keys(FIT);
  return [...gpus].sort(
    (a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict) || b.total_bytes - a.total_bytes,
  )[0];
}

/** Null if there is no prediction, or no GPU to compare with. */
export function verdictOf(estimate: EstimateRead | undefined, batchSize: unknown): Verdict | null {
  const gpu = bestOf(estimate?.gpus ?? []);
  if (!estimate?.peak_device_bytes || gpu === undefined) return null;
  if (gpu.peak_device_bytes === null) return null;
  const needs = bytes(gpu.peak_device_bytes.likely_bytes);
  if (estimate.state === "pending" && gpu.verdict !== "fits") return null;
  const look = fitLook(gpu.verdict);
  if (gpu.verdict === "fits") return { fits: true, look, text: `Fits: needs ${needs} of ${bytes(gpu.total_bytes)}.` };
  if (gpu.verdict === "fits_up_to" && gpu.max_batch_size !== null) {
    const subject = typeof batchSize === "number" ? integer(batchSize) : "this batch";
    return {
      fits: false,
      look,
      text: `Too large: ${subject} needs ${needs}. Batch ${integer(gpu.max_batch_size)} fits.`,
    };
  }
  return { fits: false, look, text: `Cannot fit: needs ${needs} of ${bytes(gpu.total_bytes)}.` };
}
