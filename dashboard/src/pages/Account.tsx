/** The signed-in user: limits, notifications and tokens. */

import { Anchor, Button, Card, Group, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";

import { address, installLine, labAddress } from "../api/base";
import { api, data, done } from "../api/client";
import * as queries from "../api/queries";
import type { MeRead, TokenRead } from "../api/schema";
import { Ask, Dialog, NameInput, ShownOnce } from "../components/Dialog";
import { Facts } from "../components/Facts";
import { Answer, Empty } from "../components/Feedback";
import { Lines } from "../components/Lines";
import { State, TOKEN, type Look } from "../components/State";
import { Ago, useNow } from "../components/Time";
import { useAction } from "../components/useAction";
import { DAY_FIELD, instant, isTime } from "../entered-time";
import { fullTime, NOTHING, number } from "../format";
import { Notifications } from "./account/Notifications";
import { OwnData } from "./personal/OwnData";

export function Account() {
  const me = useQuery(queries.me);
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Your account
      </Title>
      <Answer query={me}>{(person) => <Limits me={person} />}</Answer>
      <Notifications />
      <Tokens />
      {me.data && <OwnData userId={me.data.id} />}
      <Terminal />
    </Stack>
  );
}

function Limits({ me }: { me: MeRead }) {
  const limit = (max: number | null | undefined, otherwise: string) => (max == null ? otherwise : number(max));
  return (
    <Card>
      <Facts
        columns={{ base: 2, sm: 3, lg: 5 }}
        facts={[
          ["Name", me.name],
          ["Role", me.role],
          ["Email", me.email ?? NOTHING],
          ["Section, team", [me.section, me.team].filter(Boolean).join(", ") || NOTHING],
          ["Share", number(me.weight)],
          ["Running jobs", limit(me.max_running, "lab default")],
          ["Queued jobs", limit(me.max_queued, "lab default")],
          ["GPU hours", limit(me.max_gpu_hours, "no limit")],
          ["GiB hours", limit(me.max_gib_hours, "no limit")],
          ["Session ends", me.token_expires_at === null ? "when you close the browser" : fullTime(me.token_expires_at)],
        ]}
      />
    </Card>
  );
}

function Tokens() {
  const query = useQuery(queries.tokens);
  const now = useNow(10_000);
  return (
    <Card component="section" aria-labelledby="tokens" padding={0}>
      <Group justify="space-between" p="md" pb="xs" gap="xs">
        <div>
          <Title order={2} size="h4" id="tokens">
            Tokens
          </Title>
          <Text size="sm" c="dimmed">
            Use one token per device. If you lose one, you can revoke it and keep the others.
          </Text>
        </div>
        <NewToken />
      </Group>
      <Answer query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No tokens yet">A terminal or a notebook needs a token.</Empty>
          ) : (
            <Table.ScrollContainer minWidth={340}>
              <Table verticalSpacing={8} horizontalSpacing="md">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Name</Table.Th>
                    <Table.Th visibleFrom="sm">Prefix</Table.Th>
                    <Table.Th visibleFrom="sm">Created</Table.Th>
                    <Table.Th>State</Table.Th>
                    <Table.Th>
                      <span className="visually-hidden">Actions</span>
                    </Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((token) => (
                    <Token key={token.id} token={token} now={now} />
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          )
        }
      </Answer>
    </Card>
  );
}

function Terminal() {
  return (
    <Card component="section" aria-labelledby="terminal">
      <Stack gap="xs">
        <Title order={2} size="h4" id="terminal">
          Terminal and notebooks
        </Title>
        <Text size="sm">
          Install{" "}
          <Anchor underline="always" href={address("/client")}>
            the client of this lab
          </Anchor>
          , then sign in with a token. It is kept for later commands.
        </Text>
        <Lines text={`${installLine}\ngpulab sign-in ${labAddress}`} label="Copy the commands" />
      </Stack>
    </Card>
  );
}

function lookOf(token: TokenRead, now: number): Look {
  if (token.revoked_at !== null) return TOKEN.revoked;
  return token.expires_at !== null && Date.parse(token.expires_at) < now ? TOKEN.expired : TOKEN.valid;
}

function Token({ token, now }: { token: TokenRead; now: number }) {
  const [opened, { open, close }] = useDisclosure();
  const revoke = useAction(
    () => done(api.DELETE("/v1/tokens/{token_id}", { params: { path: { token_id: token.id } } })),
    () => {
      close();
      return `Revoked ${token.name}.`;
    },
    true,
  );
  const look = lookOf(token, now);
  return (
    <Table.Tr>
      <Table.Td className="break">
        <Text size="sm" fw={550}>
          {token.name}
        </Text>
        {token.expires_at !== null && token.revoked_at === null && (
          <Text size="xs" c="dimmed">
            expires {fullTime(token.expires_at)}
          </Text>
        )}
      </Table.Td>
      <Table.Td className="mono" visibleFrom="sm">
        {token.prefix === null ? NOTHING : `${token.prefix}…`}
      </Table.Td>
      <Table.Td className="numbers" visibleFrom="sm" style={{ whiteSpace: "nowrap" }}>
        <Ago moment={token.created_at} now={now} />
      </Table.Td>
      <Table.Td>
        <State look={look} size="sm" />
      </Table.Td>
      <Table.Td ta="right">
        {look === TOKEN.valid && (
          <Button size="xs" variant="default" aria-label={`Revoke ${token.name}`} onClick={open}>
            Revoke
          </Button>
        )}
        <Dialog title={`Revoke ${token.name}?`} opened={opened} close={close}>
          <Ask action="Revoke" busy={revoke.isPending} error={revoke.error} send={() => revoke.mutate(undefined)}>
            <Text size="sm">
              Programs with this token lose access immediately. Every browser session that was opened with it ends,
              possibly this one. Jobs continue.
            </Text>
          </Ask>
        </Dialog>
      </Table.Td>
    </Table.Tr>
  );
}

function NewToken() {
  const [opened, { open, close }] = useDisclosure();
  const [name, setName] = useState("");
  const [until, setUntil] = useState("");
  const [token, setToken] = useState<string | null>(null);
  const send = useAction(
    () =>
      data(
        api.POST("/v1/tokens", {
          body: { name: name.trim(), expires_at: until === "" ? null : instant(`${until}T23:59:59`) },
        }),
      ),
    (made) => {
      setToken(made.token);
      return null;
    },
    true,
  );
  function finish() {
    close();
    setToken(null);
    setName("");
    setUntil("");
  }
  return (
    <>
      <Button size="sm" leftSection={<Plus size={16} aria-hidden />} onClick={open}>
        New token
      </Button>
      <Dialog title="New token" opened={opened} close={finish} once={token !== null}>
        {token === null ? (
          <Ask
            action="Create"
            busy={send.isPending}
            ready={name.trim() !== "" && (until === "" || isTime(until))}
            error={send.error}
            send={() => send.mutate(undefined)}
          >
            <NameInput placeholder="laptop" value={name} set={setName} />
            <TextInput
              label="Last day"
              description="Empty: never expires"
              {...DAY_FIELD}
              value={until}
              onChange={(event) => setUntil(event.currentTarget.value)}
            />
          </Ask>
        ) : (
          <ShownOnce token={token} of={name.trim()} done={finish} />
        )}
      </Dialog>
    </>
  );
}
