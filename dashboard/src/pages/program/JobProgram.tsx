/** The program of a run: its files, with ways to run it again and to compare it. */

import "./program.css";

import { Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Pencil } from "lucide-react";
import { useState } from "react";

import { program as programOf } from "../../api/programs";
import type { JobRead, ProgramBrief } from "../../api/schema";
import { Answer } from "../../components/Feedback";
import { ButtonLink } from "../../components/Links";
import { counted } from "../../format";
import { Files } from "./FileView";

export function JobProgram({ job, program }: { job: JobRead; program: ProgramBrief }) {
  const query = useQuery(programOf(program.sha256));
  const navigate = useNavigate();
  const [file, choose] = useState<string | undefined>(undefined);
  const commit = program.git_commit && `, commit ${program.git_commit.slice(0, 8)}`;
  return (
    <Stack gap="sm">
      <Group justify="space-between" gap="xs">
        <Text size="sm">
          <b>{program.name ?? "Program"}</b>, {counted(program.file_count, "file")}
          {commit}
          {program.git_dirty && " with uncommitted changes"}
        </Text>
        <ButtonLink
          size="sm"
          variant="default"
          leftSection={<Pencil size={16} aria-hidden />}
          to="/programs/$sha256"
          params={{ sha256: program.sha256 }}
          search={{ from: job.id }}
        >
          Change and run again
        </ButtonLink>
      </Group>
      <Answer query={query}>
        {(whole) => (
          <Files
            program={whole}
            chosen={file}
            choose={choose}
            changed={({ sha256 }) =>
              void navigate({ to: "/programs/$sha256", params: { sha256 }, search: { from: job.id, file } })
            }
          />
        )}
      </Answer>
    </Stack>
  );
}
