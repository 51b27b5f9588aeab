/**
 * Who is signed in. The session itself is a cookie that no script reads; beside it lies a second one, whose value goes with
 * every change so that no other site can make one. That it is there is how this page knows that somebody signed in.
 */

import { base, csrfCookie } from "./base";

const CSRF = `${csrfCookie}=`;
/** Channels are the host's, as cookies are: another lab's sign-outs are none of this one's. */
const others = new BroadcastChannel(`gpulab.session:${csrfCookie}`);
const listeners = new Set<() => void>();

export function csrf(): string | null {
  return (
    document.cookie
      .split("; ")
      .find((cookie) => cookie.startsWith(CSRF))
      ?.slice(CSRF.length) ?? null
  );
}

export function signedIn(): boolean {
  return csrf() !== null;
}

/** The session is over, here or at the lab. The browser's other tabs hear of it: they share it. */
export function forget(): void {
  const secure = csrfCookie.startsWith("__Host-") ? "; secure" : "";
  document.cookie = `${CSRF}; path=${base || "/"}; max-age=0${secure}`;
  others.postMessage("signed out");
  for (const tell of listeners) tell();
}

others.onmessage = () => {
  for (const tell of listeners) tell();
};

/** Calls `tell` when the session ends; returns how to stop that. */
export function onSignedOut(tell: () => void): () => void {
  listeners.add(tell);
  return () => listeners.delete(tell);
}
