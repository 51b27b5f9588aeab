/** Changes to a spec that would make it fit, each with a button that applies it. */

import { Text } from "@mantine/core";
import type { ReactNode } from "react";

import type { Edit } from "../api/schema";
import { bytes, sentence, value, words } from "../format";

export type Change = Record<string, unknown>;

interface EditsProps {
  edits: readonly Edit[];
  /** The button that applies the change. */
  button: (change: Change, label: string) => ReactNode;
}

export function Edits({ edits, button }: EditsProps) {
  return (
    <ul className="edits">
      {edits.map((edit, i) => (
        <li key={i}>
          {button(edit.change, changeText(edit.change))}
          <Text size="sm" c="dimmed" className="numbers break">
            Needs {bytes(edit.peak_device_bytes.likely_bytes)}. {sentence(edit.reason)}
          </Text>
        </li>
      ))}
    </ul>
  );
}

export function changeText(change: Change): string {
  const text = Object.entries(change)
    .map(([name, entry]) => `${words(name).toLowerCase()} ${value(entry)}`)
    .join(", ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
