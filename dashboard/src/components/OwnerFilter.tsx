/** Whose runs a list shows: a choice of users as one types, for staff. Visible while it narrows the list. */

import { Select } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import * as queries from "../api/queries";
import type { UserRead } from "../api/schema";

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

interface OwnerFilterProps {
  /** An id, or a name or address that a link has. */
  owner: string | undefined;
  setOwner: (owner: string | undefined) => void;
}

export function OwnerFilter({ owner, setOwner }: OwnerFilterProps) {
  const { data: me } = useQuery(queries.me);
  const staff = me !== undefined && me.teaches;
  const [typed, setTyped] = useState("");
  const [text] = useDebouncedValue(typed.trim(), 250);
  const { data: chosen } = useQuery({
    ...queries.user(owner ?? ""),
    enabled: staff && owner !== undefined && ID.test(owner),
  });
  const shown = chosen ? labelOf(chosen) : (owner ?? "");
  // The name of who is chosen stands in the field, and is no search.
  const { data: found } = useQuery({ ...queries.usersLike(text === shown ? "" : text), enabled: staff });
  if (!staff) return null;
  const options = (found?.items ?? []).map((user) => ({ value: user.id, label: labelOf(user) }));
  if (owner !== undefined && !options.some(({ value }) => value === owner)) {
    options.unshift({ value: owner, label: chosen ? labelOf(chosen) : owner });
  }
  return (
    <Select
      label="Owner"
      placeholder="Anyone"
      data={options}
      // The lab has searched already.
      filter={({ options: all }) => all}
      value={owner ?? null}
      onChange={(id) => setOwner(id ?? undefined)}
      searchValue={typed}
      onSearchChange={setTyped}
      searchable
      clearable
      nothingFoundMessage="No user found"
      clearButtonProps={{ "aria-label": "Show the runs of everyone", "aria-hidden": false, tabIndex: 0 }}
      className="filter"
    />
  );
}

function labelOf({ name, email }: UserRead): string {
  return email === null ? name : `${name}, ${email}`;
}
