/** Tabs on one line: a phone scrolls to the selected one. */

import { Tabs } from "@mantine/core";
import { useEffect, useRef, type ReactNode } from "react";

export function TabStrip({ selected, children }: { selected: string; children: ReactNode }) {
  const strip = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { current } = strip;
    const chosen = current?.querySelector<HTMLElement>("[data-active]");
    if (current && chosen)
      current.scrollTo({ left: chosen.offsetLeft - (current.clientWidth - chosen.offsetWidth) / 2 });
  }, [selected]);
  return (
    <div className="scroll-x" ref={strip}>
      <Tabs.List style={{ flexWrap: "nowrap", minWidth: "max-content" }} mb="md">
        {children}
      </Tabs.List>
    </div>
  );
}
