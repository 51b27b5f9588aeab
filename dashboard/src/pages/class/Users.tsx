/** The users of the lab, with their limits. */

import { ActionIcon, Button, Group, Menu, Select, Stack, TextInput } from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import { infiniteQueryOptions, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Ellipsis, KeyRound, Pencil, Plus, Trash2, UserCheck, UserX } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import type { Role, UserCreate, UserRead } from "../../api/schema";
import { Ask, Dialog, NameInput, ShownOnce } from "../../components/Dialog";
import { Empty } from "../../components/Feedback";
import { PagedTable, rowsOf, type Column } from "../../components/PagedTable";
import { RowLink } from "../../components/tables/RowLink";
import { useAction } from "../../components/useAction";
import { NOTHING, number } from "../../format";
import { useCourse } from "./course";
import { EditUser, NewTokenFor } from "./EditUser";
import { EraseUser } from "../personal/EraseUser";
import { ImportRoster } from "./ImportRoster";

const usersLike = (text: string, course?: string) =>
  infiniteQueryOptions({
    queryKey: ["users", text, course],
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/v1/users", {
          params: { query: { text: text || undefined, course, limit: 100, cursor: pageParam } },
          signal,
        }),
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
  const query = useInfiniteQuery(usersLike(text, useCourse()?.id));
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

function statusOf(user: UserRead): string | null {
  if (user.erasure) return user.erasure === "delete" ? "being deleted" : "being anonymised";
  if (user.anonymised_at) return "anonymised";
  return user.disabled_at === null ? null : "disabled";
}

function groupOf(user: UserRead): string {
  return [user.section, user.team].filter(Boolean).join(", ");
}

function Name({ user }: { user: UserRead }) {
  return (
    <>
      <span className="strong">
        <RowLink to="/jobs" search={{ owner: user.email ?? user.id }}>
          {user.name}
        </RowLink>
      </span>
      <div className="small break">{[user.email, statusOf(user)].filter(Boolean).join(", ")}</div>
      <div className="small mantine-hidden-from-sm">{[user.role, groupOf(user)].filter(Boolean).join(", ")}</div>
    </>
  );
}

/** The menu of a row is made when it is first opened: hundreds of menus would take longer than their table. */
function Actions({ user }: { user: UserRead }) {
  const [made, make] = useState(false);
  if (made) return <OpenedActions user={user} />;
  return (
    <button
      type="button"
      className="row-menu"
      aria-haspopup="menu"
      aria-label={nameOf(user)}
      onClick={() => make(true)}
    >
      <Ellipsis size={18} aria-hidden />
    </button>
  );
}

function nameOf(user: UserRead): string {
  return `Actions for ${user.name}`;
}

function OpenedActions({ user }: { user: UserRead }) {
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
  const [erased, erase] = useDisclosure();
  const { data: me } = useQuery(queries.me);
  const erasable = me?.role === "admin" && me.id !== user.id && user.erasure !== "delete";
  return (
    <>
      <Menu position="bottom-end" defaultOpened>
        <Menu.Target>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={nameOf(user)}
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
          {erasable && (
            <Menu.Item color="red" leftSection={<Trash2 size={16} aria-hidden />} onClick={erase.open}>
              Anonymise or delete
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      <EditUser user={user} opened={edited} close={edit.close} />
      <NewTokenFor user={user} opened={given} close={give.close} />
      <EraseUser user={user} opened={erased} close={erase.close} />
    </>
  );
}

function AddUser() {
  const [opened, { open, close }] = useDisclosure();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("student");
  const course = useCourse();
  const [token, setToken] = useState<string | null>(null);
  const send = useAction(
    () => data(api.POST("/v1/users", { body: { name: name.trim(), role, course_id: course?.id } as UserCreate })),
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
      <Dialog title="Add user" opened={opened} close={finish} once={token !== null}>
        {token === null ? (
          <Ask
            action="Add"
            busy={send.isPending}
            ready={name.trim() !== ""}
            error={send.error}
            send={() => send.mutate(undefined)}
          >
            <NameInput description="Must be unique in the lab" value={name} set={setName} />
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
