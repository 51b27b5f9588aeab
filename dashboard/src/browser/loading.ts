/** Loads parts of the dashboard while it runs. */

import { address } from "../api/base";

const PAUSE_MILLISECONDS = 2_000;
const RELOADED = "gpulab.reloaded-at";
const SOON_MILLISECONDS = 30_000;

/**
 * The part. While the lab does not answer, it is asked for again. Where the lab answers and has no such part, the lab was
 * upgraded since the page was opened, and the page is loaded anew.
 */
export async function part<T>(load: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await load();
    } catch (error) {
      if (await answers()) {
        if (!reload()) throw error;
        // Until the new page comes.
        await new Promise(() => undefined);
      }
      await new Promise((done) => window.setTimeout(done, PAUSE_MILLISECONDS));
    }
  }
}

async function answers(): Promise<boolean> {
  try {
    return (await fetch(address("/healthz"), { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/** False where that did not help a moment ago. */
function reload(): boolean {
  try {
    if (Date.now() - Number(sessionStorage.getItem(RELOADED) ?? 0) < SOON_MILLISECONDS) return false;
    sessionStorage.setItem(RELOADED, String(Date.now()));
  } catch {
    return false;
  }
  location.reload();
  return true;
}
