/** The users of the lab, with their limits. */

import { ActionIcon, Button, Group, Menu, Select, Stack, Text, TextInput } from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import { infiniteQueryOptions, useInfiniteQuery } from "@tanstack/react-query";
import { Ellipsis, KeyRound, Pencil, Plus, UserCheck, UserX } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { Role, UserCreate, UserRead } from "../../api/schema";
import { Ask, Dialog, ShownOnce } from "../../components/Dialog";
import { Empty } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { PagedTable, rowsOf, type Column } from "../../components/PagedTable";
import { useAction } from "../../components/useAction";
import { NOTHING, number } from "../../format";
import { EditUser, NewTokenFor } from "./EditUser";
import { ImportRoster } from "./ImportRoster";

const usersLike = (text: string) =>
  infiniteQueryOptions({
    queryKey: ["users", text],
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/v1/users", { params: { query: { text: text || undefined, limit: 100, cursor: pageParam } }, signal }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

const COLUMNS: Column<UserRead>[] = [
  { title: "Name", cell: (user) => <Name user={user} /> },
  { title: "Role", from: "sm", cell: (user) => user.role },
  { title: "Section, team", from: "sm", cell: (user) => groupOf(user) || NOTHING },
  { title: "Share", from: "md", className: "numbers", cell: (user) => number(user.weight) },
  { title: "Running jobs", from: "sm", className: "numbers", cell: (user) => user.max_running ?? "lab default" },
  { title: "GPU hours", from: "sm", className: "numbers", cell: (user) => user.max_gpu_hours ?? "no limit" },
  {
    title: <span className="visually-hidden">Actions</span>,
    align: "right",
    cell: (user) => <Actions user={user} />,
  },
];

export function Users() {
  const [typed, setTyped] = useState("");
  const [text] = useDebouncedValue(typed.trim(), 250);
  const query = useInfiniteQuery(usersLike(text));
  return (
    <Stack gap="sm">
      <Group justify="space-between" align="flex-end">
        <TextInput
          label="Search"
          placeholder="Name or email"
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          w={{ base: "100%", xs: "16rem" }}
        />
        <Group gap="xs">
          <ImportRoster />
          <AddUser />
        </Group>
      </Group>
      <PagedTable
        query={query}
        rows={rowsOf(query)}
        keyOf={(user) => user.id}
        columns={COLUMNS}
        minWidth={280}
        empty={<Empty title="No matching users" />}
      />
    </Stack>
  );
}

function groupOf(user: UserRead): string {
  return [user.section, user.team].filter(Boolean).join(", ");
}

function Name({ user }: { user: UserRead }) {
  return (
    <>
      <AnchorLink to="/jobs" search={{ owner: user.email ?? user.id }} size="sm" fw={550}>
        {user.name}
      </AnchorLink>
      <Text size="xs" c="dimmed" className="break">
        {[user.email, user.disabled_at === null ? null : "disabled"].filter(Boolean).join(", ")}
      </Text>
      <Text size="xs" c="dimmed" hiddenFrom="sm">
        {[user.role, groupOf(user)].filter(Boolean).join(", ")}
      </Text>
    </>
  );
}

function Actions({ user }: { user: UserRead }) {
  const at = { params: { path: { user_id: user.id } } };
  const disable = useAction(
    () => data(api.POST("/v1/users/{user_id}/disable", at)),
    () => `Disabled ${user.name}.`,
  );
  const enable = useAction(
    () => data(api.POST("/v1/users/{user_id}/enable", at)),
    () => `Enabled ${user.name}.`,
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
            aria-label={`Actions for ${user.name}`}
            loading={disable.isPending || enable.isPending}
          >
            <Ellipsis size={18} aria-hidden />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<Pencil size={16} aria-hidden />} onClick={edit.open}>
            Edit
          </Menu.Item>
          <Menu.Item leftSection={<KeyRound size={16} aria-hidden />} onClick={give.open}>
            New token
          </Menu.Item>
          {user.disabled_at === null ? (
            <Menu.Item leftSection={<UserX size={16} aria-hidden />} onClick={() => disable.mutate(undefined)}>
              Disable
            </Menu.Item>
          ) : (
            <Menu.Item leftSection={<UserCheck size={16} aria-hidden />} onClick={() => enable.mutate(undefined)}>
              Enable
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      <EditUser user={user} opened={edited} close={edit.close} />
      <NewTokenFor user={user} opened={given} close={give.close} />
    </>
  );
}

function AddUser() {
  const [opened, { open, close }] = useDisclosure();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("student");
  const [token, setToken] = useState<string | null>(null);
  const send = useAction(
    () => data(api.POST("/v1/users", { body: { name: name.trim(), role } as UserCreate })),
    (made) => {
      setToken(made.token);
      return `Added ${made.name}.`;
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
        Add user
      </Button>
      <Dialog title="Add user" opened={opened} close={finish}>
        {token === null ? (
          <Ask
            action="Add"
            busy={send.isPending}
            ready={name.trim() !== ""}
            error={send.error}
            send={() => send.mutate(undefined)}
          >
            <TextInput
              label="Name"
              description="Must be unique in the lab"
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
          <ShownOnce token={token} of={name.trim()} done={finish} />
        )}
      </Dialog>
    </>
  );
}
