/** Loading, empty and failed: what a page shows in place of data, with the next step. */

import { Alert, Button, Center, List, Loader, Stack, Text } from "@mantine/core";
import { CircleAlert, Inbox } from "lucide-react";
import type { ReactNode } from "react";

import { Refused, Unreachable } from "../api/client";
import { invalidText } from "../api/invalid";
import { NotFound } from "./NotFound";

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
  const title = problem?.title ?? (error instanceof Unreachable ? "The lab does not answer" : "Something went wrong");
  return (
    <Alert color="red" variant="light" icon={<CircleAlert aria-hidden />} title={title} role="alert">
      <Stack gap="xs" align="flex-start">
        <Text size="sm" className="break">
          {error instanceof Unreachable
            ? "Check that the lab is running and that this device is on its network. The page tries again automatically."
            : error instanceof Error
              ? error.message
              : String(error)}
        </Text>
        {problem?.errors && problem.errors.length > 1 && (
          <List size="sm">
            {problem.errors.map((entry) => (
              <List.Item key={entry.path}>{invalidText(entry)}</List.Item>
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

/** The data of a query, or its loading or failed state. Data stays on the page when a later request fails. */
export function Answer<T>({
  query,
  children,
}: {
  query: { data: T | undefined; error: unknown; refetch: () => unknown };
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error instanceof Refused && query.error.problem.status === 404) {
    return <NotFound title="Not found">{query.error.message}</NotFound>;
  }
  if (query.error) return <Failure error={query.error} again={() => void query.refetch()} />;
  return <Waiting />;
}
