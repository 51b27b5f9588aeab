/** A dialog that asks for a few fields, or shows something once. */

import { Button, Code, CopyButton, Group, Modal, Stack, Text } from "@mantine/core";
import { Check, Copy } from "lucide-react";
import type { ReactNode, SyntheticEvent } from "react";

import { Failure } from "./Feedback";

interface DialogProps {
  title: string;
  opened: boolean;
  close: () => void;
  size?: string;
  children: ReactNode;
}

export function Dialog({ title, opened, close, size = "md", children }: DialogProps) {
  return (
    <Modal opened={opened} onClose={close} title={title} size={size} closeButtonProps={{ "aria-label": "Close" }}>
      {children}
    </Modal>
  );
}

interface AskProps {
  /** The label of the button. */
  action: string;
  busy: boolean;
  ready?: boolean;
  error?: Error | null;
  send: () => void;
  children: ReactNode;
}

/** The fields of a dialog with the button that sends them; an error of the lab is shown beside it. */
export function Ask({ action, busy, ready = true, error = null, send, children }: AskProps) {
  return (
    <form
      onSubmit={(event: SyntheticEvent) => {
        event.preventDefault();
        send();
      }}
    >
      <Stack>
        {children}
        {error !== null && <Failure error={error} />}
        <Button type="submit" loading={busy} disabled={!ready}>
          {action}
        </Button>
      </Stack>
    </form>
  );
}

/** A new token. The lab keeps only its hash, so it is shown once. */
export function ShownOnce({ token, of, done }: { token: string; of: string; done: () => void }) {
  return (
    <Stack>
      <Text size="sm">The token of {of}. Copy it now: it is not shown again.</Text>
      <Code block className="break">
        {token}
      </Code>
      <Text size="xs" c="dimmed">
        Use it to sign in here. For the terminal, put it into <code>~/.config/gpulab/token</code> or the environment
        variable <code>GPULAB_TOKEN</code>.
      </Text>
      <Group gap="xs" justify="flex-end">
        <CopyButton value={token}>
          {({ copied, copy }) => (
            <Button
              variant="default"
              onClick={copy}
              leftSection={copied ? <Check size={16} aria-hidden /> : <Copy size={16} aria-hidden />}
            >
              {copied ? "Copied" : "Copy"}
            </Button>
          )}
        </CopyButton>
        <Button onClick={done}>Done</Button>
      </Group>
    </Stack>
  );
}
