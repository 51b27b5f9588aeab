/** A user's limits, and a new token for a user who lost theirs. */

import { NumberInput, Select, SimpleGrid, TextInput } from "@mantine/core";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { UserRead, UserUpdate } from "../../api/schema";
import { Ask, Dialog, ShownOnce } from "../../components/Dialog";
import { useAction } from "../../components/useAction";

interface UserProps {
  user: UserRead;
  opened: boolean;
  close: () => void;
}

const LIMITS: [keyof UserUpdate & keyof UserRead, string, string][] = [
  ["max_running", "Running jobs", "Empty: the lab's default"],
  ["max_queued", "Queued jobs", "Empty: the lab's default"],
  ["max_gpu_hours", "GPU hours", "Empty: no limit"],
  ["max_gib_hours", "GiB hours", "Empty: no limit"],
];

export function EditUser({ user, opened, close }: UserProps) {
  return (
    <Dialog title={`Edit ${user.name}`} opened={opened} close={close}>
      <Fields user={user} close={close} />
    </Dialog>
  );
}

function Fields({ user, close }: { user: UserRead; close: () => void }) {
  const [change, setChange] = useState<Partial<UserUpdate>>({});
  const now = { ...user, ...change };
  const set = (name: keyof UserUpdate, entry: unknown) =>
    setChange((before) => ({ ...before, [name]: entry === "" ? null : entry }));
  const send = useAction(
    () =>
      data(
        api.PATCH("/v1/users/{user_id}", {
          params: { path: { user_id: user.id } },
          body: { forget_sign_in: false, ...change },
        }),
      ),
    (after) => {
      close();
      return `Saved ${after.name}.`;
    },
    true,
  );
  return (
    <Ask
      action="Save"
      busy={send.isPending}
      ready={Object.keys(change).length > 0}
      error={send.error}
      send={() => send.mutate(undefined)}
    >
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        <Select
          label="Role"
          data={["student", "instructor", "admin"]}
          value={now.role}
          onChange={(role) => set("role", role)}
          allowDeselect={false}
        />
        <TextInput
          label="Email"
          type="email"
          value={now.email ?? ""}
          onChange={(event) => set("email", event.currentTarget.value)}
        />
        <TextInput
          label="Section"
          value={now.section ?? ""}
          onChange={(event) => set("section", event.currentTarget.value)}
        />
        <TextInput label="Team" value={now.team ?? ""} onChange={(event) => set("team", event.currentTarget.value)} />
        <NumberInput
          label="Share"
          description="Relative share of the lab (default 1)"
          min={0}
          step={0.5}
          value={now.weight ?? 1}
          onChange={(entry) => set("weight", entry === "" ? 1 : entry)}
        />
        {LIMITS.map(([name, label, description]) => (
          <NumberInput
            key={name}
            label={label}
            description={description}
            min={0}
            value={(now[name] as number | null) ?? ""}
            onChange={(entry) => set(name, entry)}
          />
        ))}
      </SimpleGrid>
    </Ask>
  );
}

export function NewTokenFor({ user, opened, close }: UserProps) {
  const [name, setName] = useState("");
  const send = useAction(
    (): Promise<{ token: string }> => data(api.POST("/v1/tokens", { body: { name: name.trim(), user_id: user.id } })),
    () => null,
    true,
  );
  function finish() {
    close();
    setName("");
    send.reset();
  }
  return (
    <Dialog title={`New token for ${user.name}`} opened={opened} close={finish} once={send.data !== undefined}>
      {send.data === undefined ? (
        <Ask
          action="Create"
          busy={send.isPending}
          ready={name.trim() !== ""}
          error={send.error}
          send={() => send.mutate(undefined)}
        >
          <TextInput
            label="Name"
            placeholder="replacement"
            required
            withAsterisk={false}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            data-autofocus
          />
        </Ask>
      ) : (
        <ShownOnce token={send.data.token} of={user.name} done={finish} />
      )}
    </Dialog>
  );
}
