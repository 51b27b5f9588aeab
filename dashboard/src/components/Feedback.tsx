/** What stands where something is still to come, is empty, or failed: always with what to do next. */

import { Alert, Button, Center, Code, List, Loader, Stack, Text, Title } from "@mantine/core";
import { CircleAlert, Compass, Inbox } from "lucide-react";
import type { ReactNode } from "react";

import { Refused, Unreachable } from "../api/client";
import { AnchorLink } from "./Links";

export function Waiting() {
  return (
    <Center py="xl" role="status" aria-label="Loading">
      <Loader type="dots" />
    </Center>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Stack align="center" gap="xs" py="xl" px="md" ta="center">
      <Inbox size={28} aria-hidden opacity={0.6} />
      <Text fw={600}>{title}</Text>
      {children !== undefined && (
        <Text component="div" c="dimmed" size="sm" maw="34rem">
          {children}
        </Text>
      )}
    </Stack>
  );
}

export function Failure({ error, again }: { error: unknown; again?: () => void }) {
  const problem = error instanceof Refused ? error.problem : null;
  const title = problem?.title ?? (error instanceof Unreachable ? "The lab does not answer" : "This did not work");
  return (
    <Alert color="red" variant="light" icon={<CircleAlert aria-hidden />} title={title} role="alert">
      <Stack gap="xs" align="flex-start">
        <Text size="sm" className="break">
          {error instanceof Unreachable
            ? "Is the lab running, and is this device on its network? The page tries again by itself."
            : error instanceof Error
              ? error.message
              : String(error)}
        </Text>
        {problem?.errors && problem.errors.length > 1 && (
          <List size="sm">
            {problem.errors.map((entry) => (
              <List.Item key={entry.path}>
                <Code>{entry.path}</Code> {entry.message}
              </List.Item>
            ))}
          </List>
        )}
        {again && (
          <Button size="xs" variant="default" onClick={again}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

export function PageFailed({ error, reset }: { error: unknown; reset: () => void }) {
  return (
    <Stack p="md">
      <Failure error={error} again={reset} />
    </Stack>
  );
}

export function NotThere() {
  return (
    <Stack align="center" justify="center" mih="70vh" p="md" gap="xs" ta="center">
      <Compass size={36} aria-hidden opacity={0.6} />
      <Title order={1} size="h3">
        There is no such page
      </Title>
      <AnchorLink to="/">Go to the lab</AnchorLink>
    </Stack>
  );
}

/** A query's answer, or what stands in its place. What was shown stays when a later reading fails. */
export function Answer<T>({
  query,
  children,
}: {
  query: { data: T | undefined; error: unknown; refetch: () => unknown };
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <Failure error={query.error} again={() => void query.refetch()} />;
  return <Waiting />;
}
