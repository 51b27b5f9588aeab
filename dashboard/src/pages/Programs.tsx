/** The user's own programs: upload files, and open what was uploaded. */

import "./program/program.css";

import { Stack, Text, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";

import { programs } from "../api/programs";
import type { ProgramSummary } from "../api/schema";
import { Empty } from "../components/Feedback";
import { AnchorLink } from "../components/Links";
import { PagedTable, rowsOf, type Column } from "../components/PagedTable";
import { Ago, useNow } from "../components/Time";
import { bytes, counted, NOTHING } from "../format";
import { DropFiles } from "./program/DropFiles";
import { Environment } from "./program/Environment";

const COLUMNS: Column<ProgramSummary>[] = [
  {
    title: "Program",
    cell: (program) => (
      <>
        <AnchorLink to="/programs/$sha256" params={{ sha256: program.sha256 }} size="sm" fw={550}>
          {program.name ?? program.sha256.slice(0, 8)}
        </AnchorLink>
        <Text size="xs" c="dimmed">
          {counted(program.file_count, "file")}, {bytes(program.size_bytes)}
        </Text>
      </>
    ),
  },
  { title: "Id", from: "sm", className: "mono", cell: (program) => program.sha256.slice(0, 8) },
  {
    title: "Commit",
    from: "sm",
    className: "mono",
    cell: (program) =>
      program.git_commit === null
        ? NOTHING
        : `${program.git_commit.slice(0, 8)}${program.git_dirty ? ", modified" : ""}`,
  },
  { title: "Uploaded", className: "numbers", oneLine: true, cell: (program) => <Uploaded program={program} /> },
];

export function Programs() {
  const query = useInfiniteQuery(programs);
  const navigate = useNavigate();
  return (
    <Stack gap="md">
      <div>
        <Title order={1} size="h2">
          Your code
        </Title>
        <Text size="sm" c="dimmed">
          Upload a script or a notebook and run it on the lab. In the terminal: <code>gpulab run train.py</code>
        </Text>
      </div>
      <DropFiles
        limits={query.data?.pages[0]?.limits}
        sent={({ sha256 }) => void navigate({ to: "/programs/$sha256", params: { sha256 } })}
      />
      <PagedTable
        query={query}
        rows={rowsOf(query)}
        keyOf={(program) => program.sha256}
        columns={COLUMNS}
        more="Show older programs"
        empty={<Empty title="No programs yet">Your uploads are listed here. Uploaded files never change.</Empty>}
      />
      <Environment />
    </Stack>
  );
}

function Uploaded({ program }: { program: ProgramSummary }) {
  const now = useNow(10_000);
  return <Ago moment={program.uploaded_at} now={now} />;
}
