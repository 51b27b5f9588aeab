/** Commands to paste into a terminal. */

import { ActionIcon, Code, Group } from "@mantine/core";
import { Check, Copy } from "lucide-react";

import { CopyButton } from "../browser/CopyButton";

export function Lines({ text, label }: { text: string; label: string }) {
  return (
    <Group gap={6} wrap="nowrap" align="flex-start">
      <Code block className="break" flex={1} style={{ whiteSpace: "pre-wrap" }}>
        {text}
      </Code>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <ActionIcon variant="default" size="md" onClick={copy} aria-label={copied ? "Copied" : label}>
            {copied ? <Check size={15} aria-hidden /> : <Copy size={15} aria-hidden />}
          </ActionIcon>
        )}
      </CopyButton>
    </Group>
  );
}
