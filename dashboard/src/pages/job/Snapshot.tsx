/** The allocator's snapshot of a run: who held the memory, and where it lay. */

import "./snapshot.css";

import { Card, Group, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import * as queries from "../../api/queries";
import type { ArtifactRead, JobRead } from "../../api/schema";
import { Answer } from "../../components/Feedback";
import { bytes, counted } from "../../format";
import { heldBy, parsedSnapshot, type Holder, type Segment, type Snapshot as State } from "./allocator";

const NAMES: Record<string, string> = {
  "allocator-peak.json": "What held the memory at the peak",
  "allocator-out-of-memory.json": "What held the memory when it ran out",
};
const MOST_HOLDERS = 12;
const MOST_SEGMENTS = 24;

export function Snapshots({ job }: { job: JobRead }) {
  const { data: found } = useQuery(queries.artifacts(job.id));
  const kept = found?.items.filter((artifact) => artifact.name in NAMES) ?? [];
  return kept.map((artifact) => <SnapshotCard key={artifact.name} job={job} artifact={artifact} />);
}

function SnapshotCard({ job, artifact }: { job: JobRead; artifact: ArtifactRead }) {
  const query = useQuery(queries.words(job.id, artifact.name, artifact.sha256));
  return (
    <Card component="section" aria-label={NAMES[artifact.name]}>
      <Title order={2} size="h4" mb={4}>
        {NAMES[artifact.name]}
      </Title>
      <Answer query={query}>{(text) => <Read text={text} />}</Answer>
    </Card>
  );
}

function Read({ text }: { text: string }) {
  const state = useMemo(() => parsedSnapshot(text), [text]);
  if (state === null)
    return <Text size="sm">This file is no snapshot that this page can read. It is among the files.</Text>;
  return (
    <Stack gap="md">
      <Held state={state} />
      {state.segments.length > 0 && <Segments segments={state.segments} />}
    </Stack>
  );
}

function Held({ state }: { state: State }) {
  const holders = useMemo(() => heldBy(state.live), [state]);
  const shown = holders.slice(0, MOST_HOLDERS);
  const rest = state.allocatedBytes - shown.reduce((sum, holder) => sum + holder.bytes, 0);
  return (
    <>
      <Text size="sm" c="dimmed" className="numbers">
        {bytes(state.allocatedBytes)} held by tensors
        {state.reservedBytes !== null && `, of ${bytes(state.reservedBytes)} that the allocator had from the device`}.
        Who asked for it, innermost call first:
      </Text>
      <ol className="holders numbers">
        {shown.map((holder) => (
          <HolderRow key={holder.frames.join()} holder={holder} most={shown[0]!.bytes} />
        ))}
      </ol>
      {rest > 0 && (
        <Text size="xs" c="dimmed" className="numbers">
          {bytes(rest)} more in smaller pieces.
        </Text>
      )}
    </>
  );
}

function HolderRow({ holder, most }: { holder: Holder; most: number }) {
  const [first, ...callers] = holder.frames;
  return (
    <li>
      <div className="bar" aria-hidden>
        <span style={{ width: `${(100 * holder.bytes) / most}%` }} />
      </div>
      <div className="size">
        {bytes(holder.bytes)}
        <Text span size="xs" c="dimmed">
          {" "}
          {counted(holder.blocks, "block")}
        </Text>
      </div>
      <div className="who">
        <div className="mono break">{first ?? "not noted: it was asked for before the history began"}</div>
        {callers.length > 0 && (
          <Text size="xs" c="dimmed" className="mono break">
            from {callers.join(", ")}
          </Text>
        )}
      </div>
    </li>
  );
}

/** Each piece that the allocator has from the device, to scale, with what is held in it and what lies free between. */
function Segments({ segments }: { segments: Segment[] }) {
  const sorted = [...segments].sort((a, b) => b.bytes - a.bytes);
  const most = sorted[0]!.bytes;
  return (
    <div>
      <Group gap="md" mb={6}>
        <Text size="sm" fw={600}>
          Where it lay
        </Text>
        <Text size="xs" c="dimmed" className="key">
          <i className="live" aria-hidden /> held <i aria-hidden /> free: too small or split for what was asked
        </Text>
      </Group>
      <ul className="segments" aria-label="Segments of the allocator">
        {sorted.slice(0, MOST_SEGMENTS).map((segment, i) => (
          <li key={i}>
            <svg
              viewBox="0 0 1000 10"
              preserveAspectRatio="none"
              role="img"
              aria-label={`${bytes(segment.bytes)}, ${bytes(segment.heldBytes)} held`}
            >
              <rect className="free" x={0} y={0} width={(1000 * segment.bytes) / most} height={10} />
              {segment.live.map((block) => (
                <rect
                  key={block.offset}
                  className="live"
                  x={(1000 * block.offset) / most}
                  y={0}
                  width={Math.max(1, (1000 * block.bytes) / most)}
                  height={10}
                />
              ))}
            </svg>
            <span className="numbers">
              {bytes(segment.heldBytes)} of {bytes(segment.bytes)}
            </span>
          </li>
        ))}
      </ul>
      {sorted.length > MOST_SEGMENTS && (
        <Text size="xs" c="dimmed">
          The {MOST_SEGMENTS} largest of {sorted.length} segments.
        </Text>
      )}
    </div>
  );
}
