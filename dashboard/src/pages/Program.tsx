/** One program: its files, a form that runs it, and what differs from another program. */

import "./program/program.css";
import "./submit/submit.css";

import { Breadcrumbs, Button, Group, Select, Stack, Text, Title } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Download } from "lucide-react";

import { address } from "../api/base";
import { program as programOf, programs } from "../api/programs";
import * as queries from "../api/queries";
import type { ProgramRead } from "../api/schema";
import { Answer, Waiting } from "../components/Feedback";
import { AnchorLink } from "../components/Links";
import { rowsOf } from "../components/PagedTable";
import { bytes, counted, fullTime } from "../format";
import { Difference } from "./program/Difference";
import { Files } from "./program/FileView";
import { RunForm } from "./program/RunForm";

export function Program() {
  const { sha256 } = useParams({ from: "/inside/programs/$sha256" });
  const query = useQuery(programOf(sha256));
  return <Answer query={query}>{(program) => <Shown key={sha256} program={program} />}</Answer>;
}

function nameOf(program: ProgramRead): string {
  return program.upload?.name ?? `Program ${program.sha256.slice(0, 8)}`;
}

function Shown({ program }: { program: ProgramRead }) {
  const { from, file, compare } = useSearch({ from: "/inside/programs/$sha256" });
  const navigate = useNavigate({ from: "/programs/$sha256" });
  const again = useQuery({ ...queries.job(from ?? ""), enabled: from !== undefined });
  const search = (change: { file?: string; compare?: string }) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  return (
    <Stack gap="md">
      <Breadcrumbs>
        <AnchorLink to="/programs" size="sm">
          Your code
        </AnchorLink>
        <Text size="sm" c="dimmed" className="clip">
          {nameOf(program)}
        </Text>
      </Breadcrumbs>
      <Group justify="space-between" gap="sm" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Title order={1} size="h2" className="break">
            {nameOf(program)}
          </Title>
          <Text size="sm" c="dimmed" className="numbers">
            {counted(program.file_count, "file")}, {bytes(program.size_bytes)}, uploaded {fullTime(program.created_at)}{" "}
            <span className="mono" title={program.sha256}>
              {program.sha256.slice(0, 8)}
            </span>
          </Text>
        </div>
        <Group gap="xs" align="flex-end">
          <CompareWith program={program} other={compare} choose={(other) => search({ compare: other })} />
          <Button
            component="a"
            href={address(`/v1/programs/${program.sha256}/archive`)}
            download={`${program.sha256.slice(0, 8)}.tar`}
            size="sm"
            variant="default"
            leftSection={<Download size={16} aria-hidden />}
          >
            Download
          </Button>
        </Group>
      </Group>
      {compare !== undefined ? (
        <Difference sha256={program.sha256} other={compare} />
      ) : (
        <div className="submit">
          <Files
            program={program}
            chosen={file}
            choose={(path) => search({ file: path })}
            changed={({ sha256 }) =>
              void navigate({ to: "/programs/$sha256", params: { sha256 }, search: { from, file } })
            }
          />
          <div className="beside">
            {from !== undefined && again.isPending ? <Waiting /> : <RunForm program={program} again={again.data} />}
          </div>
        </div>
      )}
    </Stack>
  );
}

interface CompareWithProps {
  program: ProgramRead;
  other: string | undefined;
  choose: (other: string | undefined) => void;
}

function CompareWith({ program, other, choose }: CompareWithProps) {
  const query = useInfiniteQuery(programs);
  const known = new Map(
    rowsOf(query)
      .filter((one) => one.sha256 !== program.sha256)
      .map((one) => [one.sha256, `${one.name ?? "Program"} ${one.sha256.slice(0, 8)}`]),
  );
  if (other !== undefined && !known.has(other)) known.set(other, `Program ${other.slice(0, 8)}`);
  if (known.size === 0) return null;
  return (
    <Select
      aria-label="Compare with"
      placeholder="Compare with"
      data={[...known].map(([value, label]) => ({ value, label }))}
      value={other ?? null}
      onChange={(chosen) => choose(chosen ?? undefined)}
      clearable
      searchable
      w="14rem"
    />
  );
}
