/** Who is signed in on this tab. The token stays in the tab's own storage and goes nowhere but to the lab. */

const KEY = "gpulab.token";
const listeners = new Set<() => void>();

export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

export function signedIn(): boolean {
  return token() !== null;
}

export function keepToken(value: string): void {
  sessionStorage.setItem(KEY, value);
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEY);
  for (const tell of listeners) tell();
}

/** Calls `tell` when the session ends; returns how to stop that. */
export function onSignedOut(tell: () => void): () => void {
  listeners.add(tell);
  return () => listeners.delete(tell);
}
