/** What the lab writes into the page: its base path, the name of its cookie, its version and its client. */

function fact(name: string): string | null {
  return document.querySelector(`meta[name="gpulab-${name}"]`)?.getAttribute("content") ?? null;
}

/** Prefix of every path of this lab: empty, or for example `/gpulab`. */
export const base = fact("base") ?? "";

export const csrfCookie = fact("csrf-cookie") ?? "gpulab_csrf";

/** Empty in development, where no lab writes it. */
export const version = fact("version") ?? "";

/** An address of this lab, for links and requests. */
export function address(path: string): string {
  return base + path;
}

/** An address in the documentation that the lab serves. */
export function docs(page: string): string {
  return address(`/docs/${page}`);
}

/** The address of the lab, for a terminal. */
export const labAddress = location.origin + base;

/** Installs the client from the lab: on a public index, anybody could own the name. */
export const installLine = `pip install ${labAddress}/client/${fact("wheel") ?? "gpulab.whl"}`;
