/** A page, or a thing on it, that does not exist: with a way back. */

import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { useRouter } from "@tanstack/react-router";
import { ArrowLeft, Compass } from "lucide-react";

import { ButtonLink } from "./Links";

export function NotFound({ title, children }: { title: string; children: string }) {
  const { history } = useRouter();
  return (
    <Stack align="center" justify="center" mih="60vh" p="md" gap="sm" ta="center">
      <Compass size={36} aria-hidden opacity={0.6} />
      <Title order={1} size="h3">
        {title}
      </Title>
      <Text size="sm" c="dimmed" maw="34rem" className="break">
        {children}
      </Text>
      <Group gap="xs" justify="center">
        {history.canGoBack() && (
          <Button variant="default" leftSection={<ArrowLeft size={16} aria-hidden />} onClick={() => history.back()}>
            Go back
          </Button>
        )}
        <ButtonLink to="/">Go to the lab</ButtonLink>
      </Group>
    </Stack>
  );
}

export function NoSuchPage() {
  return <NotFound title="Page not found">Nothing is at this address. Check it for typing errors.</NotFound>;
}
