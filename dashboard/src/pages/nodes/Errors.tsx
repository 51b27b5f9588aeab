/** What failed in the lab itself, not in runs, for admins: alike errors once, the last one first. */

import { Badge, Card, Group, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import * as queries from "../../api/queries";
import type { LabErrorRead } from "../../api/schema";
import { Answer, Empty } from "../../components/Feedback";
import { Ago, useNow } from "../../components/Time";
import { counted, fullTime } from "../../format";

export default function Errors() {
  const query = useQuery({ ...queries.labErrors, refetchInterval: 30_000 });
  const now = useNow(10_000);
  return (
    <Answer query={query}>
      {({ items }) =>
        items.length === 0 ? (
          <Card>
            <Empty title="Nothing failed in the lab within 30 days">Failures of runs are on their own pages.</Empty>
          </Card>
        ) : (
          <Stack gap="sm">
            {items.map((error) => (
              <OneError key={error.fingerprint} error={error} now={now} />
            ))}
          </Stack>
        )
      }
    </Answer>
  );
}

function OneError({ error, now }: { error: LabErrorRead; now: number }) {
  return (
    <Card component="section" aria-label={error.event}>
      <Stack gap={4}>
        <Group gap="xs">
          <Title order={2} size="h5" className="mono break">
            {error.event}
          </Title>
          <Badge color={error.is_warning ? "yellow" : "red"} variant="light">
            {error.is_warning ? "warning" : "error"}
          </Badge>
          <Text size="sm" c="dimmed">
            {error.process} on {error.host}
          </Text>
        </Group>
        {error.message !== "" && (
          <Text size="sm" className="break">
            {error.message}
          </Text>
        )}
        <Text size="sm">{error.advice}</Text>
        <Text size="xs" c="dimmed" className="numbers">
          {counted(error.count, "time")}, last <Ago moment={error.last_at} now={now} />, first on{" "}
          <time dateTime={error.first_at}>{fullTime(error.first_at)}</time>
        </Text>
      </Stack>
    </Card>
  );
}
