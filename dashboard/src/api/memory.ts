/** Asks for predictions one after the other, so that a slider never fills the lab's queue. */

import { useDebouncedValue } from "@mantine/hooks";
import { hashKey, keepPreviousData, useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { markedJson } from "./exact";
import type { EstimateRead } from "./schema";
import { estimateOf } from "./submitting";

const PAUSE_MS = 120;

export interface Question {
  experiment: string;
  spec: Record<string, unknown>;
  /** GPU models besides those of the lab. */
  gpus: readonly string[];
}

export interface Answered {
  /** Of another question while `stale`. */
  estimate: EstimateRead | undefined;
  stale: boolean;
  error: Error | null;
  again: () => void;
}

const asked = ({ experiment, spec, gpus }: Question) => estimateOf(experiment, spec, gpus);

/**
 * The answer to a question that changes often. One question is open at a time, and it is always answered: of those that
 * come meanwhile only the newest is put, and then those `ahead`. What was answered before is shown at once.
 */
export function useAnswer(question: Question, ahead: readonly Question[], enabled: boolean): Answered {
  const client = useQueryClient();
  const [open, setOpen] = useState(question);
  const asking = useQuery({ ...asked(open), placeholderData: undefined, enabled });
  const busy = asking.isFetching || asking.data?.state === "pending";
  const [settled] = useDebouncedValue(question, PAUSE_MS);
  const next = [settled, ...ahead].find((one) => isOpen(client, one));
  useEffect(() => {
    if (enabled && !busy && next !== undefined && keyOf(next) !== keyOf(open)) setOpen(next);
  }, [enabled, busy, next, open]);
  const shown = useQuery({ ...asked(question), enabled: false, placeholderData: keepPreviousData });
  return {
    estimate: shown.data,
    stale: shown.isPlaceholderData || shown.data?.state === "pending",
    error: enabled ? shown.error : null,
    again: () => void shown.refetch(),
  };
}

function keyOf(question: Question): string {
  return hashKey(JSON.parse(markedJson(asked(question).queryKey)) as readonly unknown[]);
}

/** Whether there is no answer yet; a refusal is one. */
function isOpen(client: QueryClient, question: Question): boolean {
  const known = client.getQueryState<EstimateRead>(asked(question).queryKey);
  return known === undefined || (known.status !== "error" && (known.data?.state ?? "pending") === "pending");
}
