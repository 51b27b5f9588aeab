/** A dialog that asks for a few fields, or shows something once. */

import { Button, Code, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { Check, Copy } from "lucide-react";
import { useId, type ReactNode, type SyntheticEvent } from "react";

import { CopyButton } from "../browser/CopyButton";
import { Failure } from "./Feedback";

interface DialogProps {
  title: string;
  opened: boolean;
  close: () => void;
  size?: string;
  /** Whether it shows what is never shown again: then only its buttons close it. */
  once?: boolean;
  children: ReactNode;
}

/** A click beside it does not close it: what was entered would be lost. */
export function Dialog({ title, opened, close, size = "md", once = false, children }: DialogProps) {
  return (
    <Modal
      opened={opened}
      onClose={close}
      title={title}
      size={size}
      closeButtonProps={{ "aria-label": "Close" }}
      closeOnClickOutside={false}
      closeOnEscape={!once}
    >
      {children}
    </Modal>
  );
}

interface AskProps {
  /** The label of the button. */
  action: string;
  busy: boolean;
  ready?: boolean;
  /** Why it cannot be sent yet, where the fields do not show it by themselves. */
  missing?: string | null;
  error?: Error | null;
  send: () => void;
  children: ReactNode;
}

/** The fields of a dialog with the button that sends them; an error of the lab is shown beside it. */
export function Ask({ action, busy, ready = true, missing = null, error = null, send, children }: AskProps) {
  const reason = useId();
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
        {missing !== null && (
          <Text id={reason} size="xs" c="dimmed">
            {missing}
          </Text>
        )}
        <div className="ask-send">
          <Button
            type="submit"
            fullWidth
            loading={busy}
            disabled={!ready || missing !== null}
            aria-describedby={missing === null ? undefined : reason}
          >
            {action}
          </Button>
        </div>
      </Stack>
    </form>
  );
}

interface NameInputProps {
  value: string;
  set: (value: string) => void;
  placeholder?: string;
  description?: string;
}

/** The name of a new thing: the field in which a dialog begins. */
export function NameInput({ value, set, placeholder, description }: NameInputProps) {
  return (
    <TextInput
      label="Name"
      placeholder={placeholder}
      description={description}
      required
      withAsterisk={false}
      value={value}
      onChange={(event) => set(event.currentTarget.value)}
      data-autofocus
    />
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
        Use it to sign in here, and in the terminal with <code>gpulab sign-in</code>.
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
