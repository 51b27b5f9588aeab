/**
 * Keeps what is on the screen true: one event stream says what changed, and the queries that show it read it again.
 * The tabs of a browser share the stream; a tab that nobody sees does not listen, and reads everything again when it is
 * seen. The stream comes back by itself; while it is away, `contact` says so and what is shown is what was last known.
 */

import type { QueryClient } from "@tanstack/react-query";

import { address } from "./base";
import { csrf, forget } from "./session";
import { FINAL } from "./states";
import { openStream, REPEAT_MILLISECONDS, type Listener, type Told, type Watching } from "./stream";

/** Notices of a busy job come ten times a second; nobody reads charts that fast. */
const PAUSE_MILLISECONDS = 700;
const HANGS_MILLISECONDS = 5_000;
const ADDRESS = new URL(address("/v1/stream"), location.origin).href;

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

  // One round at a time: where the lab is slower than its notices, reading again would cut off what is being read.
  async function refresh(): Promise<void> {
    const keys = [...stale.values()];
    stale.clear();
    const read = Promise.all(keys.map((queryKey) => queries.invalidateQueries({ queryKey })));
    // One that hangs holds up the others no longer than this.
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
  function hear(told: Told): void {
    if (told.kind === "live") {
      if (setLive(told.live) && told.live) everything();
    } else if (told.kind === "signed out") {
      if (told.session === csrf()) forget();
    } else if (told.kind === "resync") everything();
    else {
      const notice = JSON.parse(told.data) as { job_id: string; state?: string };
      mark(["job", notice.job_id]);
      if (told.kind === "job") mark(["jobs"], ["studies"], ["nodes"]);
      if (told.kind === "records" || FINAL.has(notice.state ?? "")) mark(["records", notice.job_id]);
    }
  }

  const stop = listenWhileSeen(hear, everything);
  return () => {
    stop();
    window.clearTimeout(timer);
  };
}

/** Passes on what the lab tells while somebody sees this tab; calls `back` when it is seen again. */
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
    // Somebody else signed in, in another tab: nothing that this one shows is theirs.
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

/** Where to say whether this tab listens: to the worker of all tabs, or, in a browser without one, to a stream of its own. */
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
  const worker = new SharedWorker(new URL("./stream-worker.ts", import.meta.url), { type: "module" });
  worker.onerror = failed;
  worker.port.onmessage = ({ data }: MessageEvent<Told>) => hear(data);
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
