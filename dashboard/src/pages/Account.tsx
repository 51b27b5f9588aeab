/** Oneself: what the lab grants, and the tokens that let one in. */

import { Anchor, Badge, Button, Card, Group, Stack, Table, Text, TextInput, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX, Clock, Plus, type LucideIcon } from "lucide-react";
import { useState } from "react";

import { address, installLine, labAddress } from "../api/base";
import { api, data, done } from "../api/client";
import * as queries from "../api/queries";
import type { MeRead, TokenRead } from "../api/schema";
import { Ask, Dialog, ShownOnce } from "../components/Dialog";
import { Facts } from "../components/Facts";
import { Answer, Empty } from "../components/Feedback";
import { Lines } from "../components/Lines";
import { Ago, useNow } from "../components/Time";
import { useAction } from "../components/useAction";
import { fullTime, NOTHING, number } from "../format";

export function Account() {
  const me = useQuery(queries.me);
  return (
    <Stack gap="md">
      <Title order={1} size="h2">
        Your account
      </Title>
      <Answer query={me}>{(person) => <Granted me={person} />}</Answer>
      <Tokens />
      <Terminal />
    </Stack>
  );
}

function Granted({ me }: { me: MeRead }) {
  const limit = (most: number | null | undefined, otherwise: string) => (most == null ? otherwise : number(most));
  return (
    <Card>
      <Facts
        columns={{ base: 2, sm: 3, lg: 5 }}
        facts={[
          ["Name", me.name],
          ["Role", me.role],
          ["Address", me.email ?? NOTHING],
          ["Section, team", [me.section, me.team].filter(Boolean).join(", ") || NOTHING],
          ["Share beside others", number(me.weight)],
          ["Jobs at once", limit(me.max_running, "the lab\u2019s limit")],
          ["Jobs waiting", limit(me.max_queued, "the lab\u2019s limit")],
          ["GPU hours", limit(me.max_gpu_hours, "no limit")],
          ["GiB hours", limit(me.max_gib_hours, "no limit")],
          ["This session ends", me.token_expires_at === null ? "with the browser" : fullTime(me.token_expires_at)],
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
            One for each place you work from, so that one that is lost can be ended alone.
          </Text>
        </div>
        <NewToken />
      </Group>
      <Answer query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="You have no token">
              You signed in another way. A token lets a terminal or a notebook in.
            </Empty>
          ) : (
            <Table.ScrollContainer minWidth={340}>
              <Table verticalSpacing={8} horizontalSpacing="md">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>What for</Table.Th>
                    <Table.Th visibleFrom="sm">Begins with</Table.Th>
                    <Table.Th visibleFrom="sm">Made</Table.Th>
                    <Table.Th>State</Table.Th>
                    <Table.Th>
                      <span className="visually-hidden">What to do</span>
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
          , say where the lab is, and put a token into <code>~/.config/gpulab/token</code>.
        </Text>
        <Lines text={`${installLine}\nexport GPULAB_URL=${labAddress}`} label="Copy these lines" />
      </Stack>
    </Card>
  );
}

function stateOf(token: TokenRead, now: number): { color: string; icon: LucideIcon; word: string } {
  if (token.revoked_at !== null) return { color: "gray", icon: CircleX, word: "Revoked" };
  if (token.expires_at !== null && Date.parse(token.expires_at) < now)
    return { color: "orange", icon: Clock, word: "Expired" };
  return { color: "teal", icon: CircleCheck, word: "Valid" };
}

function Token({ token, now }: { token: TokenRead; now: number }) {
  const [opened, { open, close }] = useDisclosure();
  const revoke = useAction(
    () => done(api.DELETE("/v1/tokens/{token_id}", { params: { path: { token_id: token.id } } })),
    () => {
      close();
      return `The token ${token.name} lets nobody in any more.`;
    },
    true,
  );
  const state = stateOf(token, now);
  return (
    <Table.Tr>
      <Table.Td className="break">
        <Text size="sm" fw={550}>
          {token.name}
        </Text>
        {token.expires_at !== null && token.revoked_at === null && (
          <Text size="xs" c="dimmed">
            until {fullTime(token.expires_at)}
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
        <Badge
          color={state.color}
          variant="light"
          tt="none"
          size="sm"
          className={`state state-${state.color}`}
          leftSection={<state.icon size={13} aria-hidden />}
        >
          {state.word}
        </Badge>
      </Table.Td>
      <Table.Td ta="right">
        {state.word === "Valid" && (
          <Button size="compact-sm" variant="default" aria-label={`Revoke ${token.name}`} onClick={open}>
            Revoke
          </Button>
        )}
        <Dialog title={`Revoke ${token.name}?`} opened={opened} close={close}>
          <Ask action="Revoke it" busy={revoke.isPending} error={revoke.error} send={() => revoke.mutate(undefined)}>
            <Text size="sm">
              Whatever uses this token is shut out at once, and every session that was opened with it ends, this one too
              if it was. Jobs go on.
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
          body: { name: name.trim(), expires_at: until === "" ? null : new Date(`${until}T23:59:59`).toISOString() },
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
      <Dialog title="New token" opened={opened} close={finish}>
        {token === null ? (
          <Ask
            action="Make it"
            busy={send.isPending}
            ready={name.trim() !== ""}
            error={send.error}
            send={() => send.mutate(undefined)}
          >
            <TextInput
              label="What for"
              placeholder="laptop"
              required
              withAsterisk={false}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              data-autofocus
            />
            <TextInput
              label="Until the end of"
              description="Empty: for good"
              type="date"
              value={until}
              onChange={(event) => setUntil(event.currentTarget.value)}
            />
          </Ask>
        ) : (
          <ShownOnce token={token} whose={`the token ${name.trim()}`} done={finish} />
        )}
      </Dialog>
    </>
  );
}
