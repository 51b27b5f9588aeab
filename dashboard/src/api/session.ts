/**
 * Who is signed in. The session itself is a cookie that no script reads; beside it lies a second one, whose value goes with
 * every change so that no other site can make one. That it is there is how this page knows that somebody signed in.
 */

const CSRF = /(?:^|;\s*)gpulab_csrf=([^;]*)/;
const others = new BroadcastChannel("gpulab.session");
const listeners = new Set<() => void>();

export function csrf(): string | null {
  return CSRF.exec(document.cookie)?.[1] ?? null;
}

export function signedIn(): boolean {
  return csrf() !== null;
}

/** The session is over, here or at the lab. The browser's other tabs hear of it: they share it. */
export function forget(): void {
  document.cookie = "gpulab_csrf=; path=/; max-age=0";
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
