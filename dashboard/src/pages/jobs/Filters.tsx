/** What the table of jobs shows: filters, conditions, columns, groups. All of it stands in the address. */

import {
  Button,
  Collapse,
  Group,
  MultiSelect,
  Pill,
  SegmentedControl,
  Select,
  Stack,
  TagsInput,
  TextInput,
} from "@mantine/core";
import { useDebouncedCallback, useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Columns3, Search } from "lucide-react";
import { useState } from "react";

import * as queries from "../../api/queries";
import type { JobState } from "../../api/schema";
import { STATE_WORDS } from "../../api/states";
import { OwnerFilter } from "../../components/OwnerFilter";
import { CourseFilter } from "../course/CourseFilter";
import { choices } from "./columns";

const MAX_COLUMNS = 20;
const MAX_CONDITIONS = 10;
const MAX_GROUPED_BY = 3;

function useTable() {
  const table = useSearch({ from: "/inside/jobs" });
  const navigate = useNavigate({ from: "/jobs" });
  const set = (change: Partial<queries.TableSearch>) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  return { table, set };
}

export function Filters() {
  const { table, set } = useTable();
  const { data: catalogue } = useQuery(queries.experiments);
  const [words, setWords] = useState(table.text ?? "");
  const search = useDebouncedCallback((text: string) => set({ text: text.trim() || undefined }), 250);
  const [opened, { toggle }] = useDisclosure((table.columns ?? table.where ?? table.by) !== undefined);
  return (
    <Stack gap="xs" role="search" aria-label="Filter jobs">
      <Group gap="xs" align="flex-end">
        <TextInput
          label="Search"
          placeholder="Name or experiment"
          leftSection={<Search size={16} aria-hidden />}
          value={words}
          onChange={(event) => {
            setWords(event.currentTarget.value);
            search(event.currentTarget.value);
          }}
          className="filter"
        />
        <MultiSelect
          label="State"
          placeholder={table.state ? "" : "Any"}
          data={Object.entries(STATE_WORDS).map(([value, label]) => ({ value, label }))}
          value={table.state ?? []}
          onChange={(state) => set({ state: state.length > 0 ? (state as JobState[]) : undefined })}
          clearable
          className="filter"
        />
        <Select
          label="Experiment"
          placeholder="Any"
          data={(catalogue?.items ?? []).map((entry) => ({ value: entry.slug, label: entry.title }))}
          value={table.experiment ?? null}
          onChange={(experiment) => set({ experiment: experiment ?? undefined })}
          clearable
          searchable
          className="filter"
        />
        <CourseFilter course={table.course} setCourse={(course) => set({ course })} />
        <OwnerFilter owner={table.owner} setOwner={(owner) => set({ owner })} />
        <TextInput
          label="Tag"
          placeholder="Any"
          defaultValue={table.tag ?? ""}
          onBlur={(event) => set({ tag: event.currentTarget.value.trim() || undefined })}
          onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
          className="filter short"
        />
        <Button
          variant="default"
          leftSection={<Columns3 size={16} aria-hidden />}
          onClick={toggle}
          aria-expanded={opened}
          aria-controls="columns"
        >
          Columns
        </Button>
      </Group>
      <Collapse expanded={opened} id="columns">
        {opened && <Choices />}
      </Collapse>
      <Narrowed />
    </Stack>
  );
}

function Choices() {
  const { table, set } = useTable();
  const { data: fields } = useQuery(queries.jobFields(table));
  const chosen = (names: string[]) => (names.length > 0 ? names : undefined);
  // What the address names stays to be seen, also where no run has it.
  const known = choices(fields?.items ?? [], true);
  const offered = new Set(known.flatMap(({ items }) => items.map(({ value }) => value)));
  const unknown = [...(table.columns ?? []), ...(table.by ?? [])].filter((name) => !offered.has(name));
  const all = unknown.length > 0 ? [...known, { group: "Other", items: [...new Set(unknown)] }] : known;
  return (
    <Group gap="xs" align="flex-start">
      <MultiSelect
        label="Columns"
        description="In this order"
        placeholder={table.columns ? "" : "Parameters, results, metrics"}
        data={all}
        value={table.columns ?? []}
        onChange={(columns) => set({ columns: chosen(columns) })}
        searchable
        clearable
        hidePickedOptions
        maxValues={MAX_COLUMNS}
        className="filter long"
      />
      <TagsInput
        label="Conditions"
        description="Such as spec.lr>=0.01; press Enter after each"
        value={table.where ?? []}
        onChange={(where) => set({ where: chosen(where) })}
        maxTags={MAX_CONDITIONS}
        splitChars={[]}
        acceptValueOnBlur
        clearable
        className="filter long"
      />
      <MultiSelect
        label="Group by"
        description="Mean and spread of the columns"
        placeholder={table.by ? "" : "Nothing"}
        data={choices(fields?.items ?? [], false).concat(unknown.length > 0 ? (all.slice(-1) as []) : [])}
        value={table.by ?? []}
        onChange={(by) => set({ by: chosen(by), sort: undefined })}
        searchable
        clearable
        maxValues={MAX_GROUPED_BY}
        className="filter long"
      />
    </Group>
  );
}

/** What a link narrowed the table to, each to be taken off. */
function Narrowed() {
  const { table, set } = useTable();
  const { data: assignments } = useQuery({
    ...queries.assignments,
    enabled: (table.work_on ?? table.assignment) !== undefined,
  });
  const called = (id: string) => assignments?.items.find((one) => one.id === id)?.name ?? "one assignment";
  return (
    <Group gap="xs">
      {table.study !== undefined && <Narrow label="One study" remove={() => set({ study: undefined })} />}
      {table.assignment !== undefined && (
        <Narrow label={`Handed in for ${called(table.assignment)}`} remove={() => set({ assignment: undefined })} />
      )}
      {table.work_on !== undefined && (
        <>
          <Narrow
            label={`Counts for ${called(table.work_on)}`}
            remove={() => set({ work_on: undefined, earlier: undefined })}
          />
          <SegmentedControl
            aria-label="When the runs were submitted"
            size="xs"
            data={[
              { value: "since", label: "Since the assignment was created" },
              { value: "earlier", label: "Before" },
            ]}
            value={table.earlier ? "earlier" : "since"}
            onChange={(side) => set({ earlier: side === "earlier" || undefined })}
          />
        </>
      )}
    </Group>
  );
}

function Narrow({ label, remove }: { label: string; remove: () => void }) {
  return (
    <Pill
      size="md"
      withRemoveButton
      onRemove={remove}
      removeButtonProps={{ "aria-label": `Remove the filter: ${label}`, "aria-hidden": false, tabIndex: 0 }}
    >
      {label}
    </Pill>
  );
}
