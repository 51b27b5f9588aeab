/**
 * Keeps what is on the screen true: one event stream says what changed, and the queries that show it read it again.
 * The stream comes back by itself; while it is away, `contact` says so and what is shown is what was last known.
 */

import type { QueryClient } from "@tanstack/react-query";
import { EventSource } from "eventsource";

import { forget } from "./session";

/** Notices of a busy job come ten times a second; nobody reads charts that fast. */
const PAUSE_MILLISECONDS = 700;
const ENDED = ["succeeded", "failed", "cancelled"];

export type Contact = { live: boolean; since: Date };

let contact: Contact = { live: true, since: new Date() };
const watchers = new Set<() => void>();

export const contactStore = {
  subscribe: (tell: () => void) => {
    watchers.add(tell);
    return () => watchers.delete(tell);
  },
  get: (): Contact => contact,
};

function setLive(live: boolean): boolean {
  if (contact.live === live) return false;
  contact = { live, since: new Date() };
  for (const tell of watchers) tell();
  return true;
}

/** Follow the lab until the returned function is called. */
export function follow(queries: QueryClient): () => void {
  const stale = new Map<string, readonly unknown[]>();
  let timer: number | undefined;

  function refresh(): void {
    timer = undefined;
    const keys = [...stale.values()];
    stale.clear();
    for (const queryKey of keys) void queries.invalidateQueries({ queryKey });
  }
  function mark(...keys: readonly (readonly unknown[])[]): void {
    for (const key of keys) stale.set(key.join("/"), key);
    timer ??= window.setTimeout(refresh, PAUSE_MILLISECONDS);
  }
  function everything(): void {
    void queries.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "artifact" });
  }

  const source = new EventSource("/v1/stream", {
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (response.status === 401) forget();
      // The standard gives up on a refusal; a lab that starts or is full will answer again, so this one counts as silence.
      if (response.status >= 500) throw new TypeError(`the lab answered ${response.status}`);
      return response;
    },
  });
  source.addEventListener("open", () => {
    if (setLive(true)) everything();
  });
  source.addEventListener("error", () => setLive(false));
  source.addEventListener("job", (event) => {
    const notice = JSON.parse(event.data as string) as { job_id: string; state: string };
    mark(["job", notice.job_id], ["jobs"], ["studies"], ["nodes"]);
    if (ENDED.includes(notice.state)) mark(["records", notice.job_id]);
  });
  source.addEventListener("records", (event) => {
    const notice = JSON.parse(event.data as string) as { job_id: string };
    mark(["records", notice.job_id], ["job", notice.job_id]);
  });
  source.addEventListener("resync", everything);
  return () => {
    source.close();
    window.clearTimeout(timer);
  };
}
