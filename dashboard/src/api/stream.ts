/** The lab's event stream, and one that all tabs of a browser share: a browser opens six connections to a host, no more. */

import { EventSource } from "eventsource";

export type Told =
  | { kind: "live"; live: boolean }
  | { kind: "job" | "records" | "resync"; data: string }
  | { kind: "signed out"; session: string };
export type Listener = (told: Told) => void;
export type Open = (address: string, session: string, tell: Listener) => () => void;

/** Listens until the returned function is called. `session` tells one sign-in from the next; the cookie goes by itself. */
export const openStream: Open = (address, session, tell) => {
  const source = new EventSource(address, {
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (response.status === 401) tell({ kind: "signed out", session });
      // The standard gives up on a refusal; a lab that starts, or is full for a while, will answer again: it counts as silence.
      if (response.status >= 500 || response.status === 429) throw new TypeError(`the lab answered ${response.status}`);
      return response;
    },
  });
  source.addEventListener("open", () => tell({ kind: "live", live: true }));
  source.addEventListener("error", () => tell({ kind: "live", live: false }));
  for (const kind of ["job", "records", "resync"] as const) {
    source.addEventListener(kind, (event) => tell({ kind, data: event.data as string }));
  }
  return () => source.close();
};

/** What a tab says: that it looks, and who is signed in; or that it does not. It says so again before `PATIENCE` is over. */
export type Watching = { address: string; session: string } | null;

export const REPEAT_MILLISECONDS = 30_000;
const PATIENCE_MILLISECONDS = 3 * REPEAT_MILLISECONDS;

/** One stream for all tabs that look; none where no tab does. It outlives each of them. */
export class SharedStream {
  private readonly tabs = new Map<Listener, { watching: NonNullable<Watching>; heardAt: number }>();
  private open: { watching: NonNullable<Watching>; close: () => void } | null = null;
  private live = true;

  constructor(private readonly opener: Open = openStream) {}

  hear(tab: Listener, watching: Watching, now: number): void {
    if (watching === null) this.tabs.delete(tab);
    else this.tabs.set(tab, { watching, heardAt: now });
    this.forgetSilent(now);
    this.follow(watching ?? this.open?.watching);
    if (watching !== null && !this.live) tab({ kind: "live", live: false });
  }

  /** A tab that crashed says no goodbye. */
  forgetSilent(now: number): void {
    for (const [tab, { heardAt }] of this.tabs) {
      if (now - heardAt <= PATIENCE_MILLISECONDS) continue;
      // One that only slept, with the whole machine, reads everything again when it next hears of the lab.
      tab({ kind: "live", live: false });
      this.tabs.delete(tab);
    }
    if (this.tabs.size === 0) this.end();
  }

  private follow(wanted: Watching | undefined): void {
    if (this.tabs.size === 0 || !wanted) return;
    if (this.open?.watching.session === wanted.session && this.open.watching.address === wanted.address) return;
    this.end();
    this.live = true;
    this.open = { watching: wanted, close: this.opener(wanted.address, wanted.session, (told) => this.pass(told)) };
  }

  private pass(told: Told): void {
    if (told.kind === "live") this.live = told.live;
    for (const tab of this.tabs.keys()) tab(told);
    if (told.kind === "signed out") this.end();
  }

  private end(): void {
    this.open?.close();
    this.open = null;
  }
}
