/** All that the lab has of a user, as one file. */

import { Button, Card, Group, Text, Title } from "@mantine/core";
import { Download } from "lucide-react";

import { address } from "../../api/base";

export function OwnData({ userId }: { userId: string }) {
  return (
    <Card component="section" aria-labelledby="own-data">
      <Group justify="space-between" gap="sm">
        <div>
          <Title order={2} size="h4" id="own-data">
            Your data
          </Title>
          <Text size="sm" c="dimmed">
            Your profile, runs, metrics, files, programs, submissions and released grades as one zip. It has no tokens.
          </Text>
        </div>
        <ExportButton userId={userId} label="Export" />
      </Group>
    </Card>
  );
}

/** The browser saves the file while the lab still writes it. */
export function ExportButton({ userId, label }: { userId: string; label: string }) {
  return (
    <Button
      component="a"
      href={address(`/v1/users/${userId}/export`)}
      download
      size="sm"
      variant="default"
      leftSection={<Download size={16} aria-hidden />}
    >
      {label}
    </Button>
  );
}
