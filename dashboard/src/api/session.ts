/**
 * Whether a user is signed in. Scripts cannot read the session cookie. A second cookie holds the CSRF token, which every
 * change sends; its presence shows that a user is signed in.
 */

import { base, csrfCookie } from "./base";

const CSRF = `${csrfCookie}=`;
/** Named after the cookie: another lab on this host has its own sign-outs. */
const others = channel(`gpulab.session:${csrfCookie}`);
const listeners = new Set<() => void>();

/** Null in a browser that keeps nothing for this site, and so forbids it. */
function channel(name: string): BroadcastChannel | null {
  try {
    return new BroadcastChannel(name);
  } catch {
    return null;
  }
}

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

/** Ends the session here and in the browser's other tabs. */
export function forget(): void {
  const secure = csrfCookie.startsWith("__Host-") ? "; secure" : "";
  document.cookie = `${CSRF}; path=${base || "/"}; max-age=0${secure}`;
  others?.postMessage("signed out");
  for (const notify of listeners) notify();
}

if (others !== null)
  others.onmessage = () => {
    for (const notify of listeners) notify();
  };

/** Calls `notify` when the session ends, until the returned function is called. */
export function onSignedOut(notify: () => void): () => void {
  listeners.add(notify);
  return () => listeners.delete(notify);
}
