/**
 * A wall with one tile a student: the state as a shape, a colour and in words, the name where the pointer or the
 * keyboard is. A tile is one plain element and is rendered again only when its student changes.
 */

import "./wall.css";

import { Card, Switch, Text } from "@mantine/core";
import { useNavigate, useRouter } from "@tanstack/react-router";
import { memo, useRef, useState, type KeyboardEvent, type MouseEvent } from "react";

import type { AssignmentRead, TileRead } from "../../../api/schema";
import { isPlain } from "../../../components/tables/RowLink";
import { STUDENT } from "../../../components/State";
import { counted } from "../../../format";
import { LOCALE } from "../../../locale";

interface WallProps {
  assignment: AssignmentRead;
  students: readonly TileRead[];
  chosen: ReadonlySet<string>;
  choose: (id: string, is: boolean) => void;
}

export function Wall({ assignment, students, chosen, choose }: WallProps) {
  const [selecting, select] = useState(false);
  const [current, setCurrent] = useState<string | null>(null);
  const [hovered, hover] = useState<string | null>(null);
  const wall = useRef<HTMLDivElement>(null);
  const navigate = useNavigate();
  // One tile takes the tab key; arrows lead on from it.
  const entry = students.some((one) => one.user_id === current) ? current : students[0]!.user_id;
  const shown = students.find((one) => one.user_id === hovered);

  function press(event: KeyboardEvent) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const tiles = [...(wall.current?.querySelectorAll<HTMLElement>("[data-student]") ?? [])];
    const at = tiles.findIndex((tile) => tile === document.activeElement);
    const next = at < 0 ? undefined : tiles[placeAfter(event.key, at, tiles)];
    if (next === undefined) return;
    event.preventDefault();
    next.focus();
  }
  function click(event: MouseEvent) {
    const id = studentAt(event.target);
    if (id === undefined || !isPlain(event)) return;
    event.preventDefault();
    if (selecting) choose(id, !chosen.has(id));
    else void navigate({ to: "/jobs", search: { owner: id, work_on: assignment.id } });
  }
  return (
    <Card padding="sm">
      <div className="wall-head">
        <Text size="sm" c="dimmed" aria-hidden className={shown ? "clip" : undefined}>
          {shown ? about(shown) : `${counted(students.length, "student")}. Point at a tile for the name.`}
        </Text>
        <Switch
          size="xs"
          label="Select"
          checked={selecting}
          onChange={(event) => select(event.currentTarget.checked)}
        />
      </div>
      <div
        ref={wall}
        role="group"
        aria-label="Students"
        className="wall"
        onKeyDown={press}
        onClick={click}
        onMouseOver={(event) => hover(studentAt(event.target) ?? null)}
        onMouseLeave={() => hover(null)}
        onFocus={(event) => {
          const id = studentAt(event.target);
          if (id === undefined) return;
          hover(id);
          setCurrent(id);
        }}
        onBlur={() => hover(null)}
      >
        {students.map((student) => (
          <Tile
            key={student.user_id}
            student={student}
            assignmentId={assignment.id}
            isEntry={student.user_id === entry}
            // Undefined where tiles are links.
            isChosen={selecting ? chosen.has(student.user_id) : undefined}
          />
        ))}
      </div>
    </Card>
  );
}

function studentAt(target: EventTarget): string | undefined {
  return (target as Element).closest<HTMLElement>("[data-student]")?.dataset["student"];
}

/** The tile that a key leads to; up and down by the rows as they are laid out now. */
function placeAfter(key: string, at: number, tiles: readonly HTMLElement[]): number {
  const columns = Math.max(
    1,
    tiles.findIndex((tile) => tile.offsetTop > tiles[0]!.offsetTop),
  );
  const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
  if (key === "Home") return 0;
  if (key === "End") return tiles.length - 1;
  return at + (steps[key] ?? Number.NaN);
}

function about({ name, section, team, state, runs, succeeded }: TileRead): string {
  const done = runs === 0 ? "no runs" : `${succeeded} of ${counted(runs, "run")} succeeded`;
  return [name, STUDENT[state].word, done, section, team].filter(Boolean).join(", ");
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const [first = "", last = ""] = [words[0], words.length > 1 ? words.at(-1) : undefined];
  const letters = last ? [letter(first, 0), letter(last, 0)] : [letter(first, 0), letter(first, 1)];
  return letters.join("").toLocaleUpperCase(LOCALE);
}

function letter(word: string, at: number): string {
  return Array.from(word)[at] ?? "";
}

interface TileProps {
  student: TileRead;
  assignmentId: string;
  isEntry: boolean;
  isChosen: boolean | undefined;
}

const Tile = memo(function Tile({ student, assignmentId, isEntry, isChosen }: TileProps) {
  const router = useRouter();
  const { color, icon: Icon } = STUDENT[student.state];
  const target = { to: "/jobs", search: { owner: student.user_id, work_on: assignmentId } } as const;
  const inside = (
    <>
      <Icon size={15} aria-hidden />
      <span className="initials" data-initials={initials(student.name)} />
    </>
  );
  const common = {
    className: `tile state state-${color}`,
    style: { background: `var(--mantine-color-${color}-light)` },
    tabIndex: isEntry ? 0 : -1,
    title: about(student),
    "aria-label": about(student),
    "data-student": student.user_id,
  };
  if (isChosen !== undefined) {
    return (
      <button type="button" aria-pressed={isChosen} {...common}>
        {inside}
      </button>
    );
  }
  return (
    <a href={router.history.createHref(router.buildLocation(target).publicHref)} {...common}>
      {inside}
    </a>
  );
});
