/** The lab's event stream, shared by all tabs of a browser: a browser opens at most six connections to a host. */

import { EventSource } from "eventsource";

export type Notice =
  | { kind: "live"; live: boolean }
  | { kind: "job" | "records" | "resync"; data: string }
  | { kind: "signed out"; session: string };
export type Listener = (notice: Notice) => void;
export type Open = (address: string, session: string, send: Listener) => () => void;

/** Listens until the returned function is called. `session` identifies the sign-in; the browser sends the cookie. */
export const openStream: Open = (address, session, send) => {
  const source = new EventSource(address, {
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (response.status === 401) send({ kind: "signed out", session });
      // EventSource gives up on an error response. A lab that is starting or busy will answer again, so treat it as silence.
      if (response.status >= 500 || response.status === 429) throw new TypeError(`the lab answered ${response.status}`);
      return response;
    },
  });
  source.addEventListener("open", () => send({ kind: "live", live: true }));
  source.addEventListener("error", () => send({ kind: "live", live: false }));
  for (const kind of ["job", "records", "resync"] as const) {
    source.addEventListener(kind, (event) => send({ kind, data: event.data as string }));
  }
  return () => source.close();
};

/** What a tab reports: that it is visible, and who is signed in; or null. It repeats this before the timeout. */
export type Watching = { address: string; session: string } | null;

export const REPEAT_MILLISECONDS = 30_000;
const TIMEOUT_MILLISECONDS = 3 * REPEAT_MILLISECONDS;

/** One stream for all visible tabs, and none without any. It outlives each of them. */
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

  /** A crashed tab does not report. */
  forgetSilent(now: number): void {
    for (const [tab, { heardAt }] of this.tabs) {
      if (now - heardAt <= TIMEOUT_MILLISECONDS) continue;
      // A tab that only slept reads everything again at the next notice.
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
    this.open = { watching: wanted, close: this.opener(wanted.address, wanted.session, (notice) => this.pass(notice)) };
  }

  private pass(notice: Notice): void {
    if (notice.kind === "live") this.live = notice.live;
    for (const tab of this.tabs.keys()) tab(notice);
    if (notice.kind === "signed out") this.end();
  }

  private end(): void {
    this.open?.close();
    this.open = null;
  }
}
