/** The allocator's snapshot of a run: what held the memory, and where it was. */

import "./snapshot.css";

import { Card, Group, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import * as queries from "../../api/queries";
import type { ArtifactRead, JobRead } from "../../api/schema";
import { Answer } from "../../components/Feedback";
import { bytes, counted } from "../../format";
import { heldBy, parsedSnapshot, type Holder, type Segment, type Snapshot as State } from "../../allocator";

const NAMES: Record<string, string> = {
  "allocator-peak.json": "What held the memory at the peak",
  "allocator-out-of-memory.json": "What held the memory when it ran out",
};
const MAX_HOLDERS = 12;
const MAX_SEGMENTS = 24;
const MAX_BLOCKS = 2000;
/** A student's program can save anything under these names. */
const MAX_SNAPSHOT_BYTES = 64 * 2 ** 20;
const UNREADABLE = "This page cannot read the snapshot. Download it on the tab Files.";

export function Snapshots({ job }: { job: JobRead }) {
  const { data: found } = useQuery(queries.artifacts(job.id));
  const kept = found?.items.filter((artifact) => artifact.name in NAMES) ?? [];
  return kept.map((artifact) => <SnapshotCard key={artifact.name} job={job} artifact={artifact} />);
}

function SnapshotCard({ job, artifact }: { job: JobRead; artifact: ArtifactRead }) {
  const isShown = artifact.size_bytes <= MAX_SNAPSHOT_BYTES;
  const query = useQuery({ ...queries.artifactText(job.id, artifact.name, artifact.sha256), enabled: isShown });
  return (
    <Card component="section" aria-label={NAMES[artifact.name]}>
      <Title order={2} size="h4" mb={4}>
        {NAMES[artifact.name]}
      </Title>
      {isShown ? <Answer query={query}>{(text) => <Read text={text} />}</Answer> : <Text size="sm">{UNREADABLE}</Text>}
    </Card>
  );
}

function Read({ text }: { text: string }) {
  const state = useMemo(() => parsedSnapshot(text), [text]);
  if (state === null) return <Text size="sm">{UNREADABLE}</Text>;
  return (
    <Stack gap="md">
      <Held state={state} />
      {state.segments.length > 0 && <Segments segments={state.segments} />}
    </Stack>
  );
}

function Held({ state }: { state: State }) {
  const holders = useMemo(() => heldBy(state.live), [state]);
  const shown = holders.slice(0, MAX_HOLDERS);
  const rest = state.allocatedBytes - shown.reduce((sum, holder) => sum + holder.bytes, 0);
  return (
    <>
      <Text size="sm" c="dimmed" className="numbers">
        {bytes(state.allocatedBytes)} held by tensors
        {state.reservedBytes !== null && `, of ${bytes(state.reservedBytes)} reserved by the allocator`}. By allocating
        code, innermost call first:
      </Text>
      <ol className="holders numbers">
        {shown.map((holder) => (
          <HolderRow key={holder.frames.join()} holder={holder} max={shown[0]!.bytes} />
        ))}
      </ol>
      {rest > 0 && (
        <Text size="xs" c="dimmed" className="numbers">
          {bytes(rest)} more in smaller allocations.
        </Text>
      )}
    </>
  );
}

function HolderRow({ holder, max }: { holder: Holder; max: number }) {
  const [first, ...callers] = holder.frames;
  return (
    <li>
      <div className="bar" aria-hidden>
        <span style={{ width: `${(100 * holder.bytes) / max}%` }} />
      </div>
      <div className="size">
        {bytes(holder.bytes)}
        <Text span size="xs" c="dimmed">
          {" "}
          {counted(holder.blocks, "block")}
        </Text>
      </div>
      <div className="who">
        <div className="mono break">{first ?? "unknown: allocated before recording started"}</div>
        {callers.length > 0 && (
          <Text size="xs" c="dimmed" className="mono break">
            from {callers.join(", ")}
          </Text>
        )}
      </div>
    </li>
  );
}

/** The allocator's segments, to scale, with used and free parts. */
function Segments({ segments }: { segments: Segment[] }) {
  const sorted = [...segments].sort((a, b) => b.bytes - a.bytes);
  const max = sorted[0]!.bytes;
  return (
    <div>
      <Group gap="md" mb={6}>
        <Text size="sm" fw={600}>
          Memory layout
        </Text>
        <Text size="xs" c="dimmed" className="key">
          <i className="live" aria-hidden /> in use <i aria-hidden /> free, but split or too small for the request
        </Text>
      </Group>
      <ul className="segments" aria-label="Segments of the allocator">
        {sorted.slice(0, MAX_SEGMENTS).map((segment, i) => (
          <li key={i}>
            <svg
              viewBox="0 0 1000 10"
              preserveAspectRatio="none"
              role="img"
              aria-label={`${bytes(segment.bytes)}, ${bytes(segment.heldBytes)} in use`}
            >
              <rect className="free" x={0} y={0} width={(1000 * segment.bytes) / max} height={10} />
              {segment.live.slice(0, MAX_BLOCKS).map((block) => (
                <rect
                  key={block.offset}
                  className="live"
                  x={(1000 * block.offset) / max}
                  y={0}
                  width={Math.max(1, (1000 * block.bytes) / max)}
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
      {sorted.length > MAX_SEGMENTS && (
        <Text size="xs" c="dimmed">
          The {MAX_SEGMENTS} largest of {sorted.length} segments.
        </Text>
      )}
    </div>
  );
}
