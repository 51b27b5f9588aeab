/** The peak as a flame of modules: width is bytes, the strip below a name its causes. A click zooms in. */

import { Anchor, Breadcrumbs, Text } from "@mantine/core";
import { useMemo, useRef, useState, type CSSProperties, type KeyboardEvent } from "react";

import { bytes, number } from "../../format";
import { CAUSES, entries, mixOf, type Cause } from "./causes";
import { pathTo, placesOf, type Block, type Place } from "./tree";

const ROW_PX = 30;
const LABEL_SHARE = 0.035;

export function Flame({ top }: { top: Block }) {
  const [zoom, setZoom] = useState(top.key);
  const [active, setActive] = useState<string | null>(null);
  const path = useMemo(() => pathTo(top, zoom) ?? [top], [top, zoom]);
  const shown = path.at(-1)!;
  const places = useMemo(() => placesOf(shown), [shown]);
  const rows = 1 + Math.max(...places.map((place) => place.row));
  const current = places.find((place) => place.block.key === active) ?? places[0]!;
  const area = useRef<HTMLDivElement>(null);
  const focus = (place: Place | undefined) => {
    if (place === undefined) return;
    setActive(place.block.key);
    area.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(place.block.key)}"]`)?.focus();
  };
  const enter = (block: Block) => {
    if (block.children.length === 0 || block.key.endsWith("~")) return;
    const outwards = block.key === shown.key ? path.at(-2) : block;
    if (outwards === undefined) return;
    setZoom(outwards.key);
    setActive(outwards.key);
  };
  const press = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") enter(current.block);
    else if (event.key === "Escape" && path.length > 1) enter(shown);
    else if (event.key in MOVES) focus(MOVES[event.key as keyof typeof MOVES](places, current));
    else return;
    event.preventDefault();
  };
  return (
    <div>
      <Breadcrumbs mb={6} separatorMargin={4}>
        {path.map((block) =>
          block === shown ? (
            <Text key={block.key} size="sm" fw={600}>
              {block.name}
            </Text>
          ) : (
            <Anchor key={block.key} component="button" type="button" size="sm" onClick={() => setZoom(block.key)}>
              {block.name}
            </Anchor>
          ),
        )}
      </Breadcrumbs>
      <div
        ref={area}
        className="flame"
        role="tree"
        aria-label="Memory of the peak by module"
        style={{ height: rows * ROW_PX }}
        onKeyDown={press}
      >
        {places.map((place) => (
          <Drawn
            key={place.block.key}
            place={place}
            whole={top.total}
            zoomed={shown}
            current={place === current}
            look={() => setActive(place.block.key)}
            enter={() => enter(place.block)}
          />
        ))}
      </div>
      <Text size="xs" mt={6} className="numbers break" aria-live="off" style={{ minHeight: "2.6em" }}>
        <b>{placeName(current.block)}</b>: {wordsOf(current.block, top.total)}
      </Text>
    </div>
  );
}

interface DrawnProps {
  place: Place;
  whole: number;
  zoomed: Block;
  current: boolean;
  look: () => void;
  enter: () => void;
}

function Drawn({ place: { block, from, width, row }, whole, zoomed, current, look, enter }: DrawnProps) {
  const style = {
    left: `${100 * from}%`,
    width: `${100 * width}%`,
    top: row * ROW_PX,
    "--mix": mixOf(block.sizes),
  } as CSSProperties;
  const opens = block.children.length > 0 && !block.key.endsWith("~");
  return (
    <div
      className="block"
      role="treeitem"
      data-key={block.key}
      aria-level={row + 1}
      aria-label={`${placeName(block)}: ${wordsOf(block, whole)}`}
      aria-selected={current}
      aria-expanded={opens ? block === zoomed : undefined}
      tabIndex={current ? 0 : -1}
      style={style}
      onClick={enter}
      onMouseEnter={look}
      onFocus={look}
    >
      {width >= LABEL_SHARE && <span className="label">{block.name}</span>}
    </div>
  );
}

const MOVES = {
  ArrowRight: (places: Place[], at: Place) => beside(places, at, 1),
  ArrowLeft: (places: Place[], at: Place) => beside(places, at, -1),
  ArrowDown: (places: Place[], at: Place) => over(places, at, at.row + 1),
  ArrowUp: (places: Place[], at: Place) => over(places, at, at.row - 1),
};

function beside(places: Place[], at: Place, step: number): Place | undefined {
  const row = places.filter((place) => place.row === at.row);
  return row[row.indexOf(at) + step];
}

/** The block of another row that stands above or below the beginning of this one, or next to it. */
function over(places: Place[], at: Place, row: number): Place | undefined {
  const [first] = places
    .filter((place) => place.row === row)
    .sort((a, b) => Math.abs(a.from - at.from) - Math.abs(b.from - at.from));
  return first;
}

/** `layer3.2.conv2 (Conv2d)`, or its name where it is no module. */
function placeName({ key, name, kind }: Block): string {
  const path = key.startsWith("model.") ? key.slice("model.".length) : name;
  const inside = /^(.*?)\.?[*=~]$/.exec(path);
  const where = inside === null ? path : inside[1] === "" ? `model, ${name}` : `${inside[1]}, ${name}`;
  return kind === null ? where : `${where} (${kind})`;
}

function wordsOf(block: Block, whole: number): string {
  const causes = entries(block.sizes).map(([cause, size]) => `${word(cause)} ${bytes(size)}`);
  return `${bytes(block.total)}, ${number((100 * block.total) / whole, 2)} % of the peak; ${causes.join(", ")}`;
}

function word(cause: Cause): string {
  return CAUSES[cause].replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
}
