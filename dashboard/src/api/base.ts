/** What the lab writes into the page: the path that it is below, the name of its cookie, and its client. */

function fact(name: string): string | null {
  return document.querySelector(`meta[name="gpulab-${name}"]`)?.getAttribute("content") ?? null;
}

/** In front of every path of this lab: empty, or such as `/gpulab`. */
export const base = fact("base") ?? "";

export const csrfCookie = fact("csrf-cookie") ?? "gpulab_csrf";

/** The address of something of this lab, as a link or a request needs it. */
export function address(path: string): string {
  return base + path;
}

/** Where the lab is, as a terminal needs it. */
export const labAddress = location.origin + base;

/** The line that installs the lab's own client; the name alone could be anybody's on a public index. */
export const installLine = `pip install ${labAddress}/client/${fact("wheel") ?? "gpulab.whl"}`;
