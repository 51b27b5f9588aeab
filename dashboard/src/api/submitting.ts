/** Checks a job before it is submitted, predicts its memory, and submits it. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api, data, Refused } from "./client";
import type { EstimateRead, InvalidField, JobCreate, JobRead } from "./schema";

/** Fields that the API fills in are optional. */
export type Order = Pick<JobCreate, "experiment"> & Partial<JobCreate>;

const ESTIMATE_WAIT_SECONDS = 10;
const ASK_AGAIN_MS = 200;

export interface Checked {
  /** None if the lab would accept the job. */
  errors: InvalidField[];
  /** Its predicted memory, as far as the lab had it when it answered. */
  estimate: EstimateRead | null;
}

/** Validates a job without queueing it. */
export const dryRun = (order: Order) =>
  queryOptions({
    queryKey: ["dry-run", order],
    queryFn: async ({ signal }): Promise<Checked> => {
      try {
        const query = { dry_run: true };
        const found = await data(api.POST("/v1/jobs", { params: { query }, body: order as JobCreate, signal }));
        return { errors: [], estimate: "estimate" in found ? (found.estimate as EstimateRead | null) : null };
      } catch (error) {
        if (!(error instanceof Refused) || error.problem.status !== 422) throw error;
        const { detail, errors } = error.problem;
        return { errors: errors ?? [{ path: "", message: detail, limit: null, value: null }], estimate: null };
      }
    },
    staleTime: 60_000,
  });

/** A program is measured on one GPU model after another: the verdicts that are there are shown meanwhile. */
export const estimateOf = (experiment: string, spec: Record<string, unknown>, gpus: readonly string[] = []) =>
  queryOptions({
    queryKey: ["estimate", experiment, spec, gpus],
    queryFn: async ({ signal }): Promise<EstimateRead> => {
      const query = { wait: ESTIMATE_WAIT_SECONDS };
      for (;;) {
        const found = await data(
          api.POST("/v1/estimates", { params: { query }, body: { experiment, spec, gpus: [...gpus] }, signal }),
        );
        if (found.state !== "pending" || found.gpus.length > 0) return found;
      }
    },
    refetchInterval: ({ state }) =>
      state.status === "success" && state.data?.state === "pending" ? ASK_AGAIN_MS : false,
    staleTime: 60_000,
    placeholderData: keepPreviousData,
  });

/** One that was asked for before, as with a job. */
export const estimateWith = (id: string) =>
  queryOptions({ queryKey: ["estimate", id], queryFn: ({ signal }) => awaited(id, signal), staleTime: 60_000 });

async function awaited(id: string, signal: AbortSignal): Promise<EstimateRead> {
  const params = { path: { estimate_id: id }, query: { wait: ESTIMATE_WAIT_SECONDS } };
  for (;;) {
    const found = await data(api.GET("/v1/estimates/{estimate_id}", { params, signal }));
    if (found.state !== "pending") return found;
  }
}

/** Submits the job. A repeated request submits it only once. */
export function submit(order: Order): Promise<JobRead> {
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
  const asked = { params: { header: { "idempotency-key": key } }, body: order as JobCreate };
  return data(api.POST("/v1/jobs", asked)) as Promise<JobRead>;
}
