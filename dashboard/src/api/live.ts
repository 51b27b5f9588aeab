/**
 * Keeps the page up to date: an event stream reports changes, and the affected queries read again. The tabs of a browser
 * share the stream. A hidden tab does not listen, and reads everything again when it is shown. The stream reconnects
 * automatically; meanwhile `contact` says so, and the page shows the last known data.
 */

import type { QueryClient } from "@tanstack/react-query";

import { now } from "../browser/clock";
import { address } from "./base";
import { csrf, forget } from "./session";
import { FINAL } from "./states";
import { openStream, REPEAT_MILLISECONDS, type Listener, type Notice, type Watching } from "./stream";

/** A busy job sends ten notices a second; no user reads charts that fast. */
const PAUSE_MILLISECONDS = 700;
const HANGS_MILLISECONDS = 5_000;
const ADDRESS = new URL(address("/v1/stream"), location.origin).href;

export type Contact = { live: boolean; since: Date };

let contact: Contact = { live: true, since: new Date(now()) };
const watchers = new Set<() => void>();

export const contactStore = {
  subscribe: (send: () => void) => {
    watchers.add(send);
    return () => watchers.delete(send);
  },
  get: (): Contact => contact,
};

function setLive(live: boolean): boolean {
  if (contact.live === live) return false;
  contact = { live, since: new Date(now()) };
  for (const send of watchers) send();
  return true;
}

/** Follows the lab until the returned function is called. */
export function follow(queries: QueryClient): () => void {
  const stale = new Map<string, readonly unknown[]>();
  let timer: number | undefined;

  // One round at a time: if the lab is slower than its notices, another round would cancel the current one.
  async function refresh(): Promise<void> {
    const keys = [...stale.values()];
    stale.clear();
    const read = Promise.all(keys.map((queryKey) => queries.invalidateQueries({ queryKey })));
    // A request that hangs delays the others only this long.
    await Promise.race([read, new Promise((done) => window.setTimeout(done, HANGS_MILLISECONDS))]);
    timer = undefined;
    if (stale.size > 0) mark();
  }
  function mark(...keys: readonly (readonly unknown[])[]): void {
    for (const key of keys) stale.set(key.join("/"), key);
    timer ??= window.setTimeout(() => void refresh(), PAUSE_MILLISECONDS);
  }
  function everything(): void {
    void queries.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "artifact" });
  }
  function hear(notice: Notice): void {
    if (notice.kind === "live") {
      if (setLive(notice.live) && notice.live) everything();
    } else if (notice.kind === "signed out") {
      if (notice.session === csrf()) forget();
    } else if (notice.kind === "resync") everything();
    else {
      const job = JSON.parse(notice.data) as { job_id: string; state?: string };
      mark(["job", job.job_id]);
      if (notice.kind === "job") mark(["jobs"], ["studies"], ["nodes"]);
      if (notice.kind === "records" || FINAL.has(job.state ?? "")) mark(["records", job.job_id]);
    }
  }

  const stop = listenWhileSeen(hear, everything);
  return () => {
    stop();
    window.clearTimeout(timer);
  };
}

/** Passes on the lab's notices while this tab is visible; calls `back` when it becomes visible again. */
function listenWhileSeen(hear: Listener, back: () => void): () => void {
  const say = connect(hear);
  const session = csrf();
  function watching(): Watching {
    return document.hidden || session === null ? null : { address: ADDRESS, session };
  }
  function repeat(): void {
    say(watching());
  }
  function changed(): void {
    // Another user signed in, in another tab: this page shows nothing of theirs.
    if (!document.hidden && csrf() !== null && csrf() !== session) location.reload();
    repeat();
    if (!document.hidden) back();
  }
  function leave(): void {
    say(null);
  }
  repeat();
  const timer = window.setInterval(repeat, REPEAT_MILLISECONDS);
  document.addEventListener("visibilitychange", changed);
  window.addEventListener("pagehide", leave);
  window.addEventListener("pageshow", repeat);
  return () => {
    leave();
    window.clearInterval(timer);
    document.removeEventListener("visibilitychange", changed);
    window.removeEventListener("pagehide", leave);
    window.removeEventListener("pageshow", repeat);
  };
}

/** Connects to the worker that all tabs share, or, in a browser without shared workers, to its own stream. */
function connect(hear: Listener): (watching: Watching) => void {
  let said: Watching = null;
  let say: ((watching: Watching) => void) | null = shared(hear, () => {
    say = alone(hear);
    say(said);
  });
  say ??= alone(hear);
  return (watching) => {
    said = watching;
    say?.(watching);
  };
}

function shared(hear: Listener, failed: () => void): ((watching: Watching) => void) | null {
  if (typeof SharedWorker === "undefined") return null;
  let worker: SharedWorker;
  try {
    worker = new SharedWorker(new URL("./stream-worker.ts", import.meta.url), { type: "module" });
  } catch {
    // Forbidden in a browser that keeps nothing for this site.
    return null;
  }
  worker.onerror = failed;
  worker.port.onmessage = ({ data }: MessageEvent<Notice>) => hear(data);
  return (watching) => worker.port.postMessage(watching);
}

function alone(hear: Listener): (watching: Watching) => void {
  let open: { session: string; close: () => void } | null = null;
  return (watching) => {
    if (watching?.session === open?.session) return;
    open?.close();
    open = watching && { session: watching.session, close: openStream(watching.address, watching.session, hear) };
  };
}
