/** Who is let in, with what they may take of the lab. */

import { ActionIcon, Button, Card, Group, Menu, Select, Stack, Table, Text, TextInput } from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import { infiniteQueryOptions, useInfiniteQuery } from "@tanstack/react-query";
import { DoorOpen, Ellipsis, KeyRound, Pencil, Plus } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { Role, UserCreate, UserRead } from "../../api/schema";
import { Ask, Dialog, ShownOnce } from "../../components/Dialog";
import { Answer, Empty } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { useAction } from "../../components/useAction";
import { NOTHING, number } from "../../format";
import { EditPerson, TokenFor } from "./EditPerson";
import { ImportRoster } from "./ImportRoster";

const users = (text: string) =>
  infiniteQueryOptions({
    queryKey: ["users", text],
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/v1/users", { params: { query: { text: text || undefined, limit: 100, cursor: pageParam } }, signal }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

export function People() {
  const [words, setWords] = useState("");
  const [text] = useDebouncedValue(words.trim(), 250);
  const query = useInfiniteQuery(users(text));
  const people = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Stack gap="sm">
      <Group justify="space-between" align="flex-end">
        <TextInput
          label="Search"
          placeholder="Name or address"
          value={words}
          onChange={(event) => setWords(event.currentTarget.value)}
          w={{ base: "100%", xs: "16rem" }}
        />
        <Group gap="xs">
          <ImportRoster />
          <LetIn />
        </Group>
      </Group>
      <Answer query={query}>
        {() =>
          people.length === 0 ? (
            <Card>
              <Empty title="Nobody is like this" />
            </Card>
          ) : (
            <Card padding={0}>
              <Table.ScrollContainer minWidth={280}>
                <Table verticalSpacing={6} horizontalSpacing="md">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>Name</Table.Th>
                      <Table.Th visibleFrom="sm">Role</Table.Th>
                      <Table.Th visibleFrom="sm">Section, team</Table.Th>
                      <Table.Th visibleFrom="md">Share</Table.Th>
                      <Table.Th visibleFrom="sm">At once</Table.Th>
                      <Table.Th visibleFrom="sm">GPU hours</Table.Th>
                      <Table.Th>
                        <span className="visually-hidden">What to do</span>
                      </Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {people.map((person) => (
                      <Person key={person.id} person={person} />
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
              {query.hasNextPage && (
                <Group justify="center" p="sm">
                  <Button
                    variant="default"
                    size="sm"
                    onClick={() => void query.fetchNextPage()}
                    loading={query.isFetchingNextPage}
                  >
                    Show more
                  </Button>
                </Group>
              )}
            </Card>
          )
        }
      </Answer>
    </Stack>
  );
}

function Person({ person }: { person: UserRead }) {
  const out = person.disabled_at !== null;
  const group = [person.section, person.team].filter(Boolean).join(", ");
  return (
    <Table.Tr>
      <Table.Td>
        <AnchorLink to="/jobs" search={{ owner: person.email ?? person.id }} size="sm" fw={550}>
          {person.name}
        </AnchorLink>
        <Text size="xs" c="dimmed" className="break">
          {[person.email, out ? "shut out" : null].filter(Boolean).join(", ")}
        </Text>
        <Text size="xs" c="dimmed" hiddenFrom="sm">
          {[person.role, group].filter(Boolean).join(", ")}
        </Text>
      </Table.Td>
      <Table.Td visibleFrom="sm">{person.role}</Table.Td>
      <Table.Td visibleFrom="sm">{group || NOTHING}</Table.Td>
      <Table.Td className="numbers" visibleFrom="md">
        {number(person.weight)}
      </Table.Td>
      <Table.Td className="numbers" visibleFrom="sm">
        {person.max_running ?? "the lab\u2019s limit"}
      </Table.Td>
      <Table.Td className="numbers" visibleFrom="sm">
        {person.max_gpu_hours ?? "no limit"}
      </Table.Td>
      <Table.Td ta="right">
        <Deeds person={person} out={out} />
      </Table.Td>
    </Table.Tr>
  );
}

function Deeds({ person, out }: { person: UserRead; out: boolean }) {
  const at = { params: { path: { user_id: person.id } } };
  const shut = useAction(
    () => data(api.POST("/v1/users/{user_id}/disable", at)),
    () => `${person.name} is shut out.`,
  );
  const open = useAction(
    () => data(api.POST("/v1/users/{user_id}/enable", at)),
    () => `${person.name} is let in again.`,
  );
  const [edited, edit] = useDisclosure();
  const [given, give] = useDisclosure();
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={`What to do with ${person.name}`}
            loading={shut.isPending || open.isPending}
          >
            <Ellipsis size={18} aria-hidden />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<Pencil size={16} aria-hidden />} onClick={edit.open}>
            Change
          </Menu.Item>
          <Menu.Item leftSection={<KeyRound size={16} aria-hidden />} onClick={give.open}>
            A further token
          </Menu.Item>
          <Menu.Item
            leftSection={<DoorOpen size={16} aria-hidden />}
            onClick={() => (out ? open : shut).mutate(undefined)}
          >
            {out ? "Let in again" : "Shut out"}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <EditPerson person={person} opened={edited} close={edit.close} />
      <TokenFor person={person} opened={given} close={give.close} />
    </>
  );
}

function LetIn() {
  const [opened, { open, close }] = useDisclosure();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("student");
  const [token, setToken] = useState<string | null>(null);
  const send = useAction(
    () => data(api.POST("/v1/users", { body: { name: name.trim(), role } as UserCreate })),
    (made) => {
      setToken(made.token);
      return `${made.name} is let in.`;
    },
    true,
  );
  function finish() {
    close();
    setToken(null);
    setName("");
    send.reset();
  }
  return (
    <>
      <Button size="sm" leftSection={<Plus size={16} aria-hidden />} onClick={open}>
        Let somebody in
      </Button>
      <Dialog title="Let somebody in" opened={opened} close={finish}>
        {token === null ? (
          <Ask
            action="Let in"
            busy={send.isPending}
            ready={name.trim() !== ""}
            error={send.error}
            send={() => send.mutate(undefined)}
          >
            <TextInput
              label="Name"
              description="Unique in the lab"
              required
              withAsterisk={false}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
              data-autofocus
            />
            <Select
              label="Role"
              data={["student", "instructor", "admin"]}
              value={role}
              onChange={(chosen) => setRole(chosen ?? "student")}
              allowDeselect={false}
            />
          </Ask>
        ) : (
          <ShownOnce token={token} whose={`${name.trim()}\u2019s token`} done={finish} />
        )}
      </Dialog>
    </>
  );
}
