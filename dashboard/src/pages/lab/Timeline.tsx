/** Which run held which GPU, what is expected to start, and how busy the GPUs were. */

import "./timeline.css";

import { Card, Group, SegmentedControl, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useRef, useState, type FocusEvent, type KeyboardEvent, type MouseEvent } from "react";

import { address } from "../../api/base";
import * as queries from "../../api/queries";
import type { TimelineRead } from "../../api/schema";
import { Answer } from "../../components/Feedback";
import { useNow } from "../../components/Time";
import { counted } from "../../format";
import {
  at,
  axisOf,
  began,
  cellText,
  clock,
  HOUR,
  lanesOf,
  SPANS,
  ticksOf,
  type Axis,
  type Bar,
  type Lane,
  type Span,
} from "./lanes";
import { Strip } from "./Strip";

const ROW_PIXELS = 18;
/** Until a user chooses: of a lab that started within the hour, the hour. */
const DEFAULT_SPAN: Span = "6";
/** A bar narrower than this, in percent, has no room for words. */
const NARROW = 3;
const LEGEND: [Bar["look"], string][] = [
  ["running", "Running"],
  ["succeeded", "Succeeded"],
  ["failed", "Failed"],
  ["stopped", "Stopped"],
  ["other", "Another run"],
  ["expected", "Expected"],
];

interface Tip {
  text: string;
  left: number;
  top: number;
}

export function Timeline({ nodes }: { nodes: readonly string[] }) {
  const [chosen, choose] = useState<Span | null>(null);
  const query = useQuery(queries.timeline(Number(chosen ?? DEFAULT_SPAN)));
  const span = chosen ?? (query.data && began(query.data) > Date.now() - HOUR ? "1" : DEFAULT_SPAN);
  return (
    <Card component="section" aria-labelledby="timeline">
      <Group justify="space-between" gap="xs" mb="xs">
        <Title order={2} size="h4" id="timeline">
          Timeline
        </Title>
        <SegmentedControl
          size="xs"
          aria-label="Time shown"
          data={Object.entries(SPANS).map(([value, label]) => ({ value, label }))}
          value={span}
          onChange={(value) => choose(value as Span)}
        />
      </Group>
      <Answer query={query}>{(data) => <Lanes data={data} nodes={nodes} span={span} />}</Answer>
    </Card>
  );
}

function Lanes({ data, nodes, span }: { data: TimelineRead; nodes: readonly string[]; span: Span }) {
  const now = useNow(10_000);
  const axis = useMemo(() => axisOf(data, span, now), [data, span, now]);
  const lanes = useMemo(() => lanesOf(data, nodes, axis), [data, nodes, axis]);
  const box = useRef<HTMLDivElement>(null);
  const [tip, setTip] = useState<Tip | null>(null);
  const [stop, setStop] = useState<string | null>(null);
  const navigate = useNavigate();
  const looks = new Set(lanes.flatMap((lane) => lane.bars.map((bar) => bar.look)));
  const stops = lanes.map((lane) => lane.bars.map((bar, i) => ({ id: `${lane.key}|${i}`, bar })));
  const all = stops.flat();
  const current = all.some(({ id }) => id === stop) ? stop : all.at(-1)?.id;

  function show(text: string, x: number, y: number) {
    const inside = box.current!.getBoundingClientRect();
    const room = inside.width / 2;
    const left = x - inside.left;
    setTip({ text, left: room > 200 ? Math.min(inside.width - 170, Math.max(170, left)) : room, top: y - inside.top });
  }
  function point(event: MouseEvent | FocusEvent) {
    const bar = (event.target as Element).closest<HTMLElement>("[data-text]");
    if (bar === null) {
      setTip(null);
      return;
    }
    const place = bar.getBoundingClientRect();
    show(bar.dataset["text"]!, "clientX" in event ? event.clientX : place.left + place.width / 2, place.top);
  }
  function follow(event: MouseEvent) {
    const link = (event.target as Element).closest<HTMLElement>("a[data-job]");
    if (link === null || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    void navigate({ to: "/jobs/$id", params: { id: link.dataset["job"]! } });
  }
  function move(event: KeyboardEvent) {
    if (event.key === "Escape") {
      setTip(null);
      return;
    }
    const next = neighbour(stops, (event.target as HTMLElement).dataset["stop"], event.key);
    if (next === null) return;
    event.preventDefault();
    setStop(next);
    box.current!.querySelector<HTMLElement>(`[data-stop="${CSS.escape(next)}"]`)?.focus();
  }
  return (
    <div className="timeline" ref={box} onMouseLeave={() => setTip(null)}>
      <div
        className="lanes"
        onMouseMove={point}
        onFocus={point}
        onBlur={() => setTip(null)}
        onClick={follow}
        onKeyDown={move}
        onScroll={() => setTip(null)}
      >
        <Ticks axis={axis} span={span} />
        {lanes.map((lane, i) => (
          <div key={lane.key}>
            {lane.node !== lanes[i - 1]?.node && <div className="node">{lane.node}</div>}
            <Row lane={lane} data={data} axis={axis} current={current} show={show} />
          </div>
        ))}
      </div>
      <div className="legend">
        {LEGEND.filter(([look]) => looks.has(look)).map(([look, words]) => (
          <span key={look}>
            <i className={look} />
            {words}
          </span>
        ))}
        {lanes.some((lane) => lane.kept.length > 0) && (
          <span>
            <i className="kept" />
            Lab hours
          </span>
        )}
        {data.gpus.length > 0 && (
          <>
            <span>
              <i className="busy" />
              Utilisation
            </span>
            <span>
              <i className="memory" />
              Memory
            </span>
          </>
        )}
      </div>
      {data.runs_left_out > 0 && (
        <Text size="xs" c="dimmed">
          {counted(data.runs_left_out, "short run")} not drawn. Choose a shorter time to see them.
        </Text>
      )}
      {tip && (
        <div className="tip numbers" style={{ left: tip.left, top: tip.top }} aria-hidden>
          {tip.text}
        </div>
      )}
    </div>
  );
}

interface Stop {
  id: string;
  bar: Bar;
}

/** The bar to go to from another by a key: along the lane, or to the nearest one of the next lane with bars. */
function neighbour(stops: Stop[][], from: string | undefined, key: string): string | null {
  const lane = stops.findIndex((bars) => bars.some(({ id }) => id === from));
  if (lane < 0) return null;
  const bars = stops[lane]!;
  const place = bars.findIndex(({ id }) => id === from);
  if (key === "ArrowRight") return bars[place + 1]?.id ?? null;
  if (key === "ArrowLeft") return bars[place - 1]?.id ?? null;
  if (key === "Home") return bars[0]!.id;
  if (key === "End") return bars.at(-1)!.id;
  if (key !== "ArrowUp" && key !== "ArrowDown") return null;
  const others = key === "ArrowDown" ? stops.slice(lane + 1) : stops.slice(0, lane).reverse();
  const there = others.find((found) => found.length > 0);
  const { start } = bars[place]!.bar;
  const distance = (stop: Stop) => Math.abs(stop.bar.start - start);
  return there?.reduce((best, stop) => (distance(stop) < distance(best) ? stop : best)).id ?? null;
}

/** Whether a tick has room: away from the edges, and from the word at the present. */
function isFree(axis: Axis, moment: number): boolean {
  const place = at(axis, moment);
  return place > NARROW && place < 100 - NARROW && Math.abs(place - at(axis, axis.now)) > 2 * NARROW;
}

function Ticks({ axis, span }: { axis: Axis; span: Span }) {
  return (
    <div className="axis" aria-hidden>
      <span />
      <div className="track">
        <span className="tick now" style={{ left: `${at(axis, axis.now)}%` }}>
          now
        </span>
        {ticksOf(axis, span)
          .filter((moment) => isFree(axis, moment))
          .map((moment) => (
            <span key={moment} className="tick numbers" style={{ left: `${at(axis, moment)}%` }}>
              {clock(moment)}
            </span>
          ))}
      </div>
    </div>
  );
}

interface RowProps {
  lane: Lane;
  data: TimelineRead;
  axis: Axis;
  current: string | null | undefined;
  show: (text: string, x: number, y: number) => void;
}

function Row({ lane, data, axis, current, show }: RowProps) {
  const { gpu } = lane;
  function pointCell(event: MouseEvent<HTMLElement>) {
    const place = event.currentTarget.getBoundingClientRect();
    const moment = axis.start + ((event.clientX - place.left) / place.width) * (axis.end - axis.start);
    const text = gpu && cellText(data, gpu, moment);
    if (!text) return;
    event.stopPropagation();
    show(text, event.clientX, place.top);
  }
  return (
    <div className="lane">
      <span className="label" title={gpu?.name}>
        {lane.label}
      </span>
      <div className="track">
        <div className="ahead" style={{ left: `${at(axis, axis.now)}%` }} />
        {lane.kept.map(({ start, end, text }) => (
          <div
            key={start}
            className="kept"
            role="img"
            aria-label={text}
            data-text={text}
            style={{ left: `${at(axis, start)}%`, width: `${at(axis, end) - at(axis, start)}%` }}
          />
        ))}
        <ul
          className="bars"
          style={{ height: ROW_PIXELS * lane.rows }}
          aria-label={`${lane.label} of ${lane.node}: ${counted(lane.bars.length, "run")}`}
        >
          {lane.bars.map((bar, i) => (
            <li key={i}>
              <TheBar bar={bar} stop={`${lane.key}|${i}`} axis={axis} first={`${lane.key}|${i}` === current} />
            </li>
          ))}
        </ul>
        {gpu && (
          <div onMouseMove={pointCell}>
            <Strip data={data} gpu={gpu} axis={axis} />
          </div>
        )}
      </div>
    </div>
  );
}

function TheBar({ bar, stop, axis, first }: { bar: Bar; stop: string; axis: Axis; first: boolean }) {
  const left = at(axis, bar.start);
  const width = at(axis, bar.end) - left;
  const given = {
    className: `bar ${bar.look}${width < NARROW ? " narrow" : ""}`,
    style: { left: `${left}%`, width: `${width}%`, top: bar.row * ROW_PIXELS + 1 },
    tabIndex: first ? 0 : -1,
    "aria-label": bar.text,
    "data-text": bar.text,
    "data-stop": stop,
  };
  const words = width < NARROW ? null : bar.name;
  return bar.jobId === null ? (
    <span role="img" {...given}>
      {words}
    </span>
  ) : (
    <a href={address(`/jobs/${bar.jobId}`)} data-job={bar.jobId} {...given}>
      {words}
    </a>
  );
}
