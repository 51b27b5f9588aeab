/** The output of a run, followed live. */

import { Button, Checkbox, Group, Stack, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { ArrowDownToLine, Download } from "lucide-react";
import { Fragment, useLayoutEffect, useMemo, useRef, useState } from "react";

import { api, data } from "../../api/client";
import type { JobRead } from "../../api/schema";
import { saveAs } from "../../charts/series";
import { Answer, Empty } from "../../components/Feedback";
import { isRemoved, Removed } from "../personal/Removed";
import { bytes, integer } from "../../format";
import { FINAL } from "../../api/states";
import { shownLines } from "./terminal";

const CHUNK_BYTES = 2 ** 18;
const START_OFFSET = -(2 ** 16);
/** A longer line is cut: its layout would block the page. */
const MAX_SHOWN_CHARACTERS = 2000;

function read(id: string, offset: number, signal?: AbortSignal) {
  return data(
    api.GET("/v1/jobs/{job_id}/logs", {
      params: { path: { job_id: id }, query: { offset, limit: CHUNK_BYTES } },
      signal,
    }),
  );
}

/** The end of the output, growing. With `whole`, all of it. */
function useOutput(job: JobRead, whole: boolean) {
  const query = useInfiniteQuery({
    queryKey: ["output", job.id, whole],
    queryFn: ({ pageParam, signal }) => read(job.id, pageParam, signal),
    initialPageParam: whole ? 0 : START_OFFSET,
    getNextPageParam: (last) => (last.complete ? undefined : last.next_offset),
    // Only the end grows: earlier chunks are never read again.
    staleTime: Infinity,
  });
  const { hasNextPage, isFetching, fetchNextPage, data: found } = query;
  const last = found?.pages.at(-1);
  const idle = last === undefined || last.text === "";
  useLayoutEffect(() => {
    if (!hasNextPage || isFetching) return;
    const timer = window.setTimeout(() => void fetchNextPage({ cancelRefetch: false }), idle ? 1000 : 150);
    return () => window.clearTimeout(timer);
  }, [hasNextPage, isFetching, idle, fetchNextPage, last]);
  return query;
}

export function Output({ job }: { job: JobRead }) {
  const [whole, setWhole] = useState(false);
  const [following, setFollowing] = useState(true);
  const query = useOutput(job, whole);
  const place = useRef<HTMLPreElement>(null);
  const lines = useMemo(() => shownLines(query.data?.pages ?? []), [query.data]);
  const start = query.data?.pages[0]?.offset ?? 0;

  useLayoutEffect(() => {
    const log = place.current;
    if (following && log !== null) log.scrollTop = log.scrollHeight;
  }, [lines, following]);

  return (
    <Answer query={query}>
      {({ pages }) =>
        lines.length === 0 && isRemoved(job, "output") ? (
          <Removed job={job} part="output" />
        ) : lines.length === 0 ? (
          <Empty
            title={FINAL.has(job.state) && pages.at(-1)?.complete ? "This run printed nothing" : "No output yet"}
          />
        ) : (
          <Stack gap="xs">
            <Group justify="space-between" gap="xs">
              <Group gap="md">
                <Checkbox
                  size="sm"
                  label="Follow"
                  checked={following}
                  onChange={(event) => setFollowing(event.currentTarget.checked)}
                />
                {start > 0 && (
                  <Group gap="xs">
                    <Text size="sm" c="dimmed">
                      The first {bytes(start)} are hidden.
                    </Text>
                    <Button size="xs" variant="default" onClick={() => setWhole(true)}>
                      Show all
                    </Button>
                  </Group>
                )}
              </Group>
              <Group gap="xs">
                {!following && (
                  <Button
                    size="xs"
                    variant="light"
                    leftSection={<ArrowDownToLine size={15} aria-hidden />}
                    onClick={() => setFollowing(true)}
                  >
                    Jump to end
                  </Button>
                )}
                <Button
                  size="xs"
                  variant="default"
                  leftSection={<Download size={15} aria-hidden />}
                  onClick={() =>
                    saveAs(
                      `${job.experiment}-${job.id.slice(-8)}.log`,
                      new Blob([`${lines.join("\n")}\n`], { type: "text/plain" }),
                    )
                  }
                >
                  {" "}
                  Download
                </Button>
              </Group>
            </Group>
            <pre
              ref={place}
              className="log"
              role="log"
              aria-label="Output of the run"
              tabIndex={0}
              onScroll={(event) => {
                const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
                setFollowing(scrollHeight - scrollTop - clientHeight < 24);
              }}
            >
              <Lines lines={lines} />
            </pre>
          </Stack>
        )
      }
    </Answer>
  );
}

/** Lines as text; a long line has a button that shows all of it. */
function Lines({ lines }: { lines: readonly string[] }) {
  const groups: (string | { line: string; at: number })[] = [];
  let start = 0;
  lines.forEach((line, at) => {
    if (line.length <= MAX_SHOWN_CHARACTERS) return;
    groups.push(joined(lines.slice(start, at)), { line, at });
    start = at + 1;
  });
  groups.push(joined(lines.slice(start)));
  return groups.map((group, index) =>
    typeof group === "string" ? (
      <Fragment key={index}>{group}</Fragment>
    ) : (
      <LongLine key={`line ${group.at}`} line={group.line} />
    ),
  );
}

function joined(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

function LongLine({ line }: { line: string }) {
  const [whole, setWhole] = useState(false);
  if (whole) return `${line}\n`;
  return (
    <>
      {line.slice(0, MAX_SHOWN_CHARACTERS)}{" "}
      <Button size="compact-xs" variant="default" onClick={() => setWhole(true)}>
        Show whole line ({integer(line.length)} characters)
      </Button>
      {"\n"}
    </>
  );
}
