/** Copies a text. Browsers lend the clipboard only to pages with https, and many labs have none. */

import { notifications } from "@mantine/notifications";
import { useEffect, useState, type ReactNode } from "react";

const SHOWN_MILLISECONDS = 2_000;

interface Props {
  value: string;
  children: (state: { copied: boolean; copy: () => void }) => ReactNode;
}

export function CopyButton({ value, children }: Props) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = window.setTimeout(() => setCopied(false), SHOWN_MILLISECONDS);
    return () => window.clearTimeout(timer);
  }, [copied]);
  async function copy() {
    const done = await write(value);
    setCopied(done);
    if (!done) notifications.show({ title: "This browser does not let the page copy", message: BY_HAND, color: "red" });
  }
  return <>{children({ copied, copy: () => void copy() })}</>;
}

const BY_HAND = "Select the text, and copy it with Ctrl+C (⌘C on a Mac).";

async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return writeSelected(text);
  }
}

/** The old way: a field that holds the text, and is selected. */
function writeSelected(text: string): boolean {
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.readOnly = true;
  field.style.position = "fixed";
  field.style.opacity = "0";
  // In the dialog that has the focus, where there is one.
  (before?.parentElement ?? document.body).append(field);
  field.select();
  try {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- nothing else works without https
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    field.remove();
    if (before instanceof HTMLElement) before.focus();
  }
}
