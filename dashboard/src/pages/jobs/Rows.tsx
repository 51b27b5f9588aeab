/**
 * The rows of the table of jobs. Only visible rows are rendered. A row is plain elements: with a component of the library
 * per cell, scrolling through a thousand rows would take longer than a frame.
 */

import { useNavigate } from "@tanstack/react-router";
import type { Row as TableRow, RowSelectionState } from "@tanstack/react-table";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useRef, type MouseEvent } from "react";

import { address } from "../../api/base";
import type { JobSummary } from "../../api/schema";
import { jobName, shortId } from "../../components/JobLink";
import { JobBadge } from "../../components/State";
import { useNow } from "../../components/Time";
import { ago, duration, fullTime, percent, secondsBetween } from "../../format";

/** As in `.jobs .row`. */
const HEIGHT_PIXELS = 52;

export function durationOf(job: JobSummary, now: number): number | null {
  return job.started_at === null ? null : secondsBetween(job.started_at, job.finished_at, now);
}

function about(job: JobSummary): string {
  const message = job.state === "failed" || job.state === "queued" ? job.message : null;
  return message ?? job.tags.map((tag) => `#${tag}`).join(" ");
}

/** `selected` is a prop because a row's object stays the same when it is selected. */
export function Rows({ rows, selected }: { rows: TableRow<JobSummary>[]; selected: RowSelectionState }) {
  const now = useNow(5000);
  const navigate = useNavigate();
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
    const link = (event.target as Element).closest("a[data-job]");
    if (link === null || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    void navigate({ to: "/jobs/$id", params: { id: link.getAttribute("data-job")! } });
  }
  return (
    <div role="rowgroup" ref={list} style={{ height: virtual.getTotalSize(), position: "relative" }} onClick={follow}>
      {virtual.getVirtualItems().map((item) => {
        const row = rows[item.index]!;
        return (
          <Row
            key={item.key}
            job={row.original}
            place={item.index}
            top={item.start - virtual.options.scrollMargin}
            chosen={selected[row.id] === true}
            choose={row.toggleSelected}
            now={now}
          />
        );
      })}
    </div>
  );
}

interface RowProps {
  job: JobSummary;
  place: number;
  top: number;
  chosen: boolean;
  choose: (chosen: boolean) => void;
  now: number;
}

/** Scrolling adds rows; rendered rows stay as they are. */
const Row = memo(
  PlainRow,
  (before, after) =>
    before.job === after.job && before.chosen === after.chosen && before.now === after.now && before.top === after.top,
);

function PlainRow({ job, place, top, chosen, choose, now }: RowProps) {
  const name = jobName(job);
  return (
    <div role="row" aria-rowindex={place + 2} aria-selected={chosen} className="row" style={{ top }}>
      <div role="cell">
        <input
          type="checkbox"
          aria-label={`Select ${name} ${shortId(job.id)}`}
          checked={chosen}
          onChange={(event) => choose(event.currentTarget.checked)}
        />
      </div>
      <div role="cell" className="name">
        <div className="clip">
          <a href={address(`/jobs/${job.id}`)} data-job={job.id}>
            {name}
          </a>{" "}
          <span className="small mono">{shortId(job.id)}</span>
        </div>
        <div className="clip small">
          {[job.name === null ? "" : job.experiment, about(job)].filter(Boolean).join(" · ")}
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
      <div role="cell" className="owner clip">
        {job.owner}
      </div>
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
