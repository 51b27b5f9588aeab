/**
 * The rows of the table of jobs. Only visible rows are rendered. A row is plain elements: with a component of the library
 * per cell, scrolling through a thousand rows would take longer than a frame.
 */

import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useRef, useState, type MouseEvent } from "react";

import { address } from "../../api/base";
import * as queries from "../../api/queries";
import type { JobRow, JobSummary } from "../../api/schema";
import { jobName, shortId } from "../../components/JobLink";
import { JobBadge } from "../../components/State";
import { useNow } from "../../components/Time";
import { ago, duration, fullTime, number, percent, secondsBetween, value } from "../../format";
import { LabelsDialog } from "../job/EditLabels";
import { title } from "./columns";
import { Sparkline } from "./Sparkline";

/** As in `.jobs .row`. */
const HEIGHT_PIXELS = 52;

export function durationOf(job: JobSummary, now: number): number | null {
  return job.started_at === null ? null : secondsBetween(job.started_at, job.finished_at, now);
}

function about(job: JobSummary): string {
  const message = job.state === "failed" || job.state === "queued" ? job.message : null;
  return message ?? job.tags.map((tag) => `#${tag}`).join(" ");
}

interface RowsProps {
  rows: JobRow[];
  columns: string[];
  selected: ReadonlySet<string>;
  choose: (id: string, chosen: boolean) => void;
}

export function Rows({ rows, columns, selected, choose }: RowsProps) {
  const now = useNow(5000);
  const navigate = useNavigate();
  const { data: me } = useQuery(queries.me);
  const [editing, edit] = useState<JobRow | null>(null);
  const list = useRef<HTMLDivElement>(null);
  // A new function would measure every row again at each frame.
  const getItemKey = useCallback((index: number) => rows[index]!.id, [rows]);
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => HEIGHT_PIXELS,
    overscan: 10,
    scrollMargin: list.current?.offsetTop ?? 0,
    getItemKey,
  });
  function follow(event: MouseEvent) {
    const edited = (event.target as Element).closest("[data-edit]")?.getAttribute("data-edit");
    if (edited) edit(rows.find((row) => row.id === edited) ?? null);
    const link = (event.target as Element).closest("a[data-job]");
    if (link === null || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    void navigate({ to: "/jobs/$id", params: { id: link.getAttribute("data-job")! } });
  }
  return (
    <>
      <div role="rowgroup" ref={list} style={{ height: virtual.getTotalSize(), position: "relative" }} onClick={follow}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index]!;
          return (
            <Row
              key={item.key}
              job={row}
              columns={columns}
              edits={me !== undefined && (me.teaches || me.name === row.owner)}
              place={item.index}
              top={item.start - virtual.options.scrollMargin}
              chosen={selected.has(row.id)}
              choose={choose}
              now={now}
            />
          );
        })}
      </div>
      {editing && <LabelsDialog job={editing} close={() => edit(null)} />}
    </>
  );
}

interface RowProps {
  job: JobRow;
  columns: string[];
  /** Whether the reader may rename it. */
  edits: boolean;
  place: number;
  top: number;
  chosen: boolean;
  choose: (id: string, chosen: boolean) => void;
  now: number;
}

/** Scrolling adds rows; rendered rows stay as they are. */
const Row = memo(
  PlainRow,
  (before, after) =>
    before.job === after.job &&
    before.chosen === after.chosen &&
    before.now === after.now &&
    before.top === after.top &&
    before.edits === after.edits,
);

function PlainRow({ job, columns, edits, place, top, chosen, choose, now }: RowProps) {
  const name = jobName(job);
  const under = [job.name === null ? "" : job.experiment, about(job)].filter(Boolean).join(" · ");
  return (
    <div role="row" aria-rowindex={place + 2} aria-selected={chosen} className="row" style={{ top }}>
      <div role="cell">
        <input
          type="checkbox"
          aria-label={`Select ${name} ${shortId(job.id)}`}
          checked={chosen}
          onChange={(event) => choose(job.id, event.currentTarget.checked)}
        />
      </div>
      <div role="cell" className="name">
        <div className="clip" title={name}>
          <a href={address(`/jobs/${job.id}`)} data-job={job.id}>
            {name}
          </a>{" "}
          <span className="small mono">{shortId(job.id)}</span>
          {edits && (
            <button type="button" className="edit" data-edit={job.id} aria-label={`Edit ${name}`}>
              Edit
            </button>
          )}
        </div>
        <div className="clip small" title={under}>
          {under}
        </div>
      </div>
      <div role="cell" className="state-cell">
        <JobBadge state={job.state} cause={job.cause} size="sm" />
        {job.state === "running" && job.progress && (
          <progress
            max={1}
            value={job.progress.fraction}
            aria-label={`Progress of ${name}: ${percent(100 * job.progress.fraction)}`}
          />
        )}
      </div>
      <div role="cell" className="owner clip" title={job.owner}>
        {job.owner}
      </div>
      {columns.map((name, i) => (
        <div role="cell" key={i} className="numbers clip">
          <Value of={job.values[i]} column={name} />
        </div>
      ))}
      <div role="cell" className="took numbers">
        {duration(durationOf(job, now))}
      </div>
      <div role="cell" className="changed numbers">
        <time dateTime={job.changed_at} title={fullTime(job.changed_at)}>
          {ago(job.changed_at, now)}
        </time>
      </div>
    </div>
  );
}

function Value({ of, column }: { of: unknown; column: string }) {
  if (of === null || of === undefined) return null;
  if (Array.isArray(of)) return <Sparkline points={of as (number | null)[]} label={title(column)} />;
  const text = column.endsWith("_at") ? fullTime(of as string) : typeof of === "number" ? number(of, 5) : value(of);
  return <span title={value(of)}>{text}</span>;
}
