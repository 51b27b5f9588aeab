/** Where each student stands with an assignment: counts that are filters, a table or a wall of tiles, and actions. */

import { Card, Chip, Group, SegmentedControl, Select, Stack, Text, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useState } from "react";

import * as queries from "../../../api/queries";
import type { AssignmentRead, WallRead } from "../../../api/schema";
import { STUDENT_STATES } from "../../../api/states";
import { Answer, Empty, Failure } from "../../../components/Feedback";
import { STUDENT } from "../../../components/State";
import { byName, counted, setTime } from "../../../format";
import { oneOf } from "../../../search";
import { Actions } from "./Actions";
import { StudentTable } from "./StudentTable";
import { Wall } from "./Wall";

const WALL_MILLISECONDS = 3_000;
/** As the rows of the table. */
const TABLE_MILLISECONDS = 10_000;

function useAmong() {
  const { state, section, team, text } = useSearch({ from: "/inside/class" });
  const navigate = useNavigate({ from: "/class" });
  const set = (change: Partial<queries.ClassSearch>) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  return { among: { state, section, team, text }, set };
}

export function Students({ assignment }: { assignment: AssignmentRead }) {
  const { among, set } = useAmong();
  const { view } = useSearch({ from: "/inside/class" });
  const query = useQuery({
    ...queries.wall(assignment.id, among),
    refetchInterval: view === "wall" ? WALL_MILLISECONDS : TABLE_MILLISECONDS,
  });
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const choose = useCallback(
    (id: string, is: boolean) =>
      setChosen((before) => new Set(is ? [...before, id] : [...before].filter((one) => one !== id))),
    [],
  );
  const isFiltered = Object.values(among).some((value) => value !== undefined);
  return (
    <Stack gap="sm">
      {query.data && <Summary assignment={assignment} states={query.data.states} />}
      <Filters states={query.data?.states ?? {}} />
      <Group justify="space-between" gap="xs">
        <SegmentedControl
          aria-label="View"
          size="xs"
          data={[
            { value: "table", label: "Table" },
            { value: "wall", label: "Wall" },
          ]}
          value={view ?? "table"}
          onChange={(next) => set({ view: oneOf(next, ["wall"] as const) })}
        />
        {query.data && (
          <Actions
            assignment={assignment}
            students={query.data.students}
            chosen={chosen}
            clear={() => setChosen(new Set())}
            stale={query.isPlaceholderData}
          />
        )}
      </Group>
      {query.error && !query.data && view !== "wall" && (
        <Failure error={query.error} again={() => void query.refetch()} />
      )}
      {view === "wall" ? (
        <Answer query={query}>
          {({ students }) =>
            students.length === 0 ? (
              <Card>
                <NoStudents isFiltered={isFiltered} />
              </Card>
            ) : (
              <Wall assignment={assignment} students={students} chosen={chosen} choose={choose} />
            )
          }
        </Answer>
      ) : (
        <StudentTable
          assignment={assignment}
          among={among}
          chosen={chosen}
          choose={choose}
          empty={<NoStudents isFiltered={isFiltered} />}
        />
      )}
    </Stack>
  );
}

function NoStudents({ isFiltered }: { isFiltered: boolean }) {
  if (isFiltered) return <Empty title="No student matches" />;
  return <Empty title="No students yet">Add users or import a class on the tab Users.</Empty>;
}

function total(states: WallRead["states"]): number {
  return Object.values(states).reduce((sum, count) => sum + count, 0);
}

function Summary({ assignment, states }: { assignment: AssignmentRead; states: WallRead["states"] }) {
  const submitted = (states["handed_in"] ?? 0) + (states["late"] ?? 0);
  return (
    <>
      <Text size="sm" c="dimmed">
        Due {setTime(assignment.deadline)}
        {assignment.deadline_text && ` (lab time: ${assignment.deadline_text})`}. Counts:{" "}
        {[...assignment.templates, ...assignment.experiments].join(", ")}. {submitted} of{" "}
        {counted(total(states), "student")} handed in.
      </Text>
      {assignment.description !== null && <Text size="sm">{assignment.description}</Text>}
    </>
  );
}

/** The counts are filters; section, team and a name narrow down whom they count. */
function Filters({ states }: { states: WallRead["states"] }) {
  const { among, set } = useAmong();
  const { data: people } = useQuery(queries.roster);
  const sections = [...new Set(people?.groups.flatMap(({ section }) => section ?? []))];
  const teams = [...new Set(people?.groups.flatMap(({ team }) => team ?? []))].sort(byName);
  const [typed, setTyped] = useState(among.text ?? "");
  const search = useDebouncedCallback((text: string) => set({ text: text.trim() || undefined }), 250);
  return (
    <>
      <Chip.Group value={among.state ?? ""} onChange={(state) => set({ state: oneOf(state, STUDENT_STATES) })}>
        <Group gap={6}>
          <Chip value="" size="sm">
            All {total(states)}
          </Chip>
          {STUDENT_STATES.map((state) => {
            const { icon: Icon, word } = STUDENT[state];
            return (
              <Chip key={state} value={state} size="sm">
                <span className="with-icon">
                  <Icon size={13} aria-hidden />
                  {word} {states[state] ?? 0}
                </span>
              </Chip>
            );
          })}
        </Group>
      </Chip.Group>
      <Group gap="xs" align="flex-end">
        <TextInput
          label="Search"
          placeholder="Name or email"
          value={typed}
          onChange={(event) => {
            setTyped(event.currentTarget.value);
            search(event.currentTarget.value);
          }}
        />
        <Choice label="Section" options={sections} value={among.section} set={(section) => set({ section })} />
        <Choice label="Team" options={teams} value={among.team} set={(team) => set({ team })} />
      </Group>
    </>
  );
}

interface ChoiceProps {
  label: string;
  options: string[];
  value: string | undefined;
  set: (value: string | undefined) => void;
}

function Choice({ label, options, value, set }: ChoiceProps) {
  if (options.length === 0) return null;
  return (
    <Select
      label={label}
      placeholder="All"
      data={options}
      value={value ?? null}
      onChange={(chosen) => set(chosen ?? undefined)}
      clearable
      searchable
      w="10rem"
    />
  );
}
