/** Which messages the user gets by mail and webhook. */

import { Alert, Button, Card, Checkbox, Group, Stack, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import type { ChannelRead, NotificationsRead } from "../../api/schema";
import { Answer, Failure } from "../../components/Feedback";
import { useNow } from "../../components/Time";
import { useAction } from "../../components/useAction";
import { ago, counted, TIME_ZONE } from "../../format";

const KINDS = [
  ["ended", "Runs that ended", "Succeeded or cancelled"],
  ["failed", "Runs that failed", "With the cause"],
  ["waiting", "What waits for you", "A run that cannot start as it is, or that does not use its GPU"],
  ["deadline", "Deadlines", "A day before, if you have handed nothing in"],
] as const;

type Kind = (typeof KINDS)[number][0];
type Channel = "mail" | "webhook";

export function Notifications() {
  const query = useQuery(queries.notifications);
  return (
    <Card component="section" aria-labelledby="notifications">
      <Stack gap="sm">
        <div>
          <Title order={2} size="h4" id="notifications">
            Notifications
          </Title>
          <Text size="sm" c="dimmed">
            Off until you choose. A message names your runs and their state, never results. What happens within five
            minutes comes in one message.
          </Text>
        </div>
        <Answer query={query}>
          {(found) => (
            <Group align="start" grow gap="xl" preventGrowOverflow={false} wrap="wrap">
              <Way channel="mail" title="Mail" found={found} />
              <Way channel="webhook" title="Webhook" found={found} />
            </Group>
          )}
        </Answer>
      </Stack>
    </Card>
  );
}

function Way({ channel, title, found }: { channel: Channel; title: string; found: NotificationsRead }) {
  const set = found[channel];
  const [chosen, setChosen] = useState(set.kinds as Kind[]);
  const [url, setUrl] = useState("");
  const save = useAction(
    () => data(api.PATCH("/v1/me/notifications", { body: orderOf(channel, chosen, url) })),
    () => {
      setUrl("");
      return chosen.length > 0 ? `${title} is on.` : `${title} is off.`;
    },
    true,
  );
  const test = useAction(
    () => data(api.POST("/v1/me/notifications/{channel}/test", { params: { path: { channel } } })),
    () => "A test message is on its way.",
    true,
  );
  const isOn = set.kinds.length > 0;
  const changed = url !== "" || [...chosen].sort().join() !== [...set.kinds].sort().join();
  const needsUrl = channel === "webhook" && chosen.length > 0 && set.address === null && url === "";
  return (
    <form
      style={{ minWidth: "16rem", flex: 1 }}
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(undefined);
      }}
    >
      <Stack gap="xs">
        <Checkbox.Group
          label={title}
          description={set.unavailable ?? (isOn || channel === "mail" ? `To ${set.address ?? "nowhere yet"}` : null)}
          value={chosen}
          onChange={(kinds) => setChosen(kinds)}
        >
          <Stack gap={6} mt="xs">
            {KINDS.map(([kind, label, description]) => (
              <Checkbox
                key={kind}
                value={kind}
                label={label}
                description={description}
                disabled={set.unavailable !== null && !isOn}
              />
            ))}
          </Stack>
        </Checkbox.Group>
        {channel === "webhook" && (chosen.length > 0 || isOn) && (
          <TextInput
            label={set.address === null ? "Address" : "Another address"}
            description="For Slack, Mattermost, Discord or your own program. It is not shown again."
            type="url"
            placeholder="https://hooks.example.org/…"
            autoComplete="off"
            value={url}
            onChange={(event) => setUrl(event.currentTarget.value.trim())}
          />
        )}
        <Trouble set={set} />
        {save.error !== null && <Failure error={save.error} />}
        {test.error !== null && <Failure error={test.error} />}
        <Group gap="xs">
          <Button type="submit" size="xs" loading={save.isPending} disabled={!changed || needsUrl}>
            Save
          </Button>
          {isOn && (
            <Button
              size="xs"
              variant="default"
              loading={test.isPending}
              disabled={changed}
              onClick={() => test.mutate(undefined)}
            >
              Send a test
            </Button>
          )}
        </Group>
      </Stack>
    </form>
  );
}

function Trouble({ set }: { set: ChannelRead }) {
  const now = useNow(10_000);
  if (set.last_error === null && set.given_up === 0) return null;
  return (
    <Alert color="orange" role="status">
      {set.last_error !== null && set.last_error_at !== null && (
        <Text size="sm" className="break">
          The last delivery failed {ago(set.last_error_at, now)}: {set.last_error}
        </Text>
      )}
      {set.waiting > 0 && <Text size="sm">{counted(set.waiting, "notification")} will be tried again.</Text>}
      {set.given_up > 0 && (
        <Text size="sm">{counted(set.given_up, "notification")} could not be delivered in time.</Text>
      )}
    </Alert>
  );
}

function orderOf(channel: Channel, kinds: Kind[], url: string) {
  const order = { kinds, ...(url === "" ? {} : { webhook_url: url }) };
  return channel === "mail" ? { mail: order, time_zone: TIME_ZONE } : { webhook: order, time_zone: TIME_ZONE };
}
