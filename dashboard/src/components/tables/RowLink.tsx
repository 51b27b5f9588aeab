/** A link for long tables: a plain anchor. The router's own link follows every change of the address, once per row. */

import { useRouter, type LinkProps } from "@tanstack/react-router";
import type { MouseEvent, ReactNode } from "react";

interface RowLinkProps {
  to: LinkProps["to"];
  params?: Record<string, string>;
  search?: object;
  children: ReactNode;
}

export function RowLink({ to, params, search, children }: RowLinkProps) {
  const router = useRouter();
  const target = { to, params, search } as LinkProps;
  function follow(event: MouseEvent) {
    if (!isPlain(event)) return;
    event.preventDefault();
    void router.navigate(target as Parameters<typeof router.navigate>[0]);
  }
  return (
    <a href={router.history.createHref(router.buildLocation(target as never).publicHref)} onClick={follow}>
      {children}
    </a>
  );
}

/** Whether a click means this page, and not a new tab. */
export function isPlain(event: MouseEvent): boolean {
  return event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
}
