/** Checks a job before it is submitted, predicts its memory, and submits it. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api, data, Refused } from "./client";
import type { EstimateRead, InvalidField, JobCreate, JobRead } from "./schema";

/** Fields that the API fills in are optional. */
export type Order = Pick<JobCreate, "experiment"> & Partial<JobCreate>;

const ESTIMATE_WAIT_SECONDS = 10;

/** The errors of a job; none if the lab would accept it. */
export const dryRun = (order: Order) =>
  queryOptions({
    queryKey: ["dry-run", order],
    queryFn: async ({ signal }): Promise<{ errors: InvalidField[] }> => {
      try {
        await data(api.POST("/v1/jobs", { params: { query: { dry_run: true } }, body: order as JobCreate, signal }));
        return { errors: [] };
      } catch (error) {
        if (!(error instanceof Refused) || error.problem.status !== 422) throw error;
        const { detail, errors } = error.problem;
        return { errors: errors ?? [{ path: "", message: detail, limit: null, value: null }] };
      }
    },
    staleTime: 60_000,
  });

export const estimateOf = (experiment: string, spec: Record<string, unknown>) =>
  queryOptions({
    queryKey: ["estimate", experiment, spec],
    queryFn: async ({ signal }): Promise<EstimateRead> => {
      const query = { wait: ESTIMATE_WAIT_SECONDS };
      let found = await data(
        api.POST("/v1/estimates", { params: { query }, body: { experiment, spec, gpus: [] }, signal }),
      );
      while (found.state === "pending" && found.id !== null) {
        const path = { estimate_id: found.id };
        found = await data(api.GET("/v1/estimates/{estimate_id}", { params: { path, query }, signal }));
      }
      return found;
    },
    staleTime: 60_000,
    placeholderData: keepPreviousData,
  });

/** Submits the job. A repeated request submits it only once. */
export function submit(order: Order): Promise<JobRead> {
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
  const asked = { params: { header: { "idempotency-key": key } }, body: order as JobCreate };
  return data(api.POST("/v1/jobs", asked)) as Promise<JobRead>;
}
