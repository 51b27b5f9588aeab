/** Keys that work on every page: Ctrl+K, ?, /, and G followed by a letter for a page. */

import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";

import { placesFor } from "./places";

/** How long G waits for its letter. */
const SEQUENCE_MILLISECONDS = 1500;

export type Overlay = "palette" | "keys" | null;

function typing(event: KeyboardEvent): boolean {
  const element = event.target;
  return element instanceof HTMLElement && element.closest("input, textarea, select, [contenteditable]") !== null;
}

export function useKeys(staff: boolean, show: (overlay: Overlay) => void): void {
  const navigate = useNavigate();
  useEffect(() => {
    let pressedG = -Infinity;
    function press(event: KeyboardEvent) {
      if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey) {
        event.preventDefault();
        show("palette");
        return;
      }
      // A dialog keeps its keys to itself.
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event) || document.querySelector("[role=dialog]"))
        return;
      if (event.key === "?") show("keys");
      else if (event.key === "/") {
        event.preventDefault();
        void navigate({ to: "/jobs" }).then(() => document.querySelector<HTMLElement>("[role=search] input")?.focus());
      } else if (event.timeStamp - pressedG < SEQUENCE_MILLISECONDS) {
        const place = placesFor(staff).find(({ key }) => key === event.key);
        if (place) void navigate({ to: place.to });
      }
      pressedG = event.key === "g" ? event.timeStamp : -Infinity;
    }
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [navigate, show, staff]);
}
