/** What the run kept: pictures are shown, text is opened on demand, everything can be saved. */

import { Button, Card, Code, Group, Image, SimpleGrid, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Download, Eye } from "lucide-react";
import { useState } from "react";

import * as queries from "../../api/queries";
import type { ArtifactRead, JobRead } from "../../api/schema";
import { Answer, Empty, Failure, Waiting } from "../../components/Feedback";
import { byName, bytes, integer } from "../../format";
import { FINAL } from "../../api/states";

const MOST_PREVIEWED_BYTES = 2 * 2 ** 20;
const SHOWN_CHARACTERS = 20_000;

export function Files({ job }: { job: JobRead }) {
  const query = useQuery(queries.artifacts(job.id));
  return (
    <Answer query={query}>
      {({ items }) =>
        items.length === 0 ? (
          <Card>
            <Empty title={FINAL.has(job.state) ? "The run kept no files" : "No files yet"}>
              Pictures, tables and checkpoints appear here when the run writes them.
            </Empty>
          </Card>
        ) : (
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            {[...items]
              .sort((a, b) => Number(picture(b)) - Number(picture(a)) || byName(a.name, b.name))
              .map((artifact) => (
                <FileCard key={artifact.name} job={job} artifact={artifact} />
              ))}
          </SimpleGrid>
        )
      }
    </Answer>
  );
}

function picture(artifact: ArtifactRead): boolean {
  return artifact.media_type.startsWith("image/") && artifact.size_bytes <= MOST_PREVIEWED_BYTES;
}

function readable(artifact: ArtifactRead): boolean {
  return /^text\/|json|yaml|csv|markdown/.test(artifact.media_type) && artifact.size_bytes <= MOST_PREVIEWED_BYTES;
}

function FileCard({ job, artifact }: { job: JobRead; artifact: ArtifactRead }) {
  const [open, setOpen] = useState(false);
  return (
    <Card>
      <Stack gap="xs">
        <Group justify="space-between" wrap="nowrap" gap="xs">
          <div style={{ minWidth: 0 }}>
            <Text size="sm" fw={600} className="break">
              {artifact.name}
            </Text>
            <Text size="xs" c="dimmed" className="numbers">
              {bytes(artifact.size_bytes)}, {artifact.media_type}
            </Text>
          </div>
          <Group gap={4} wrap="nowrap">
            {readable(artifact) && (
              <Button
                size="compact-sm"
                variant="subtle"
                leftSection={<Eye size={15} aria-hidden />}
                aria-expanded={open}
                aria-label={`Look at ${artifact.name}`}
                onClick={() => setOpen(!open)}
              >
                {open ? "Close" : "Look"}
              </Button>
            )}
            <Button
              component="a"
              href={queries.artifactPath(job.id, artifact.name)}
              download
              size="compact-sm"
              variant="default"
              leftSection={<Download size={15} aria-hidden />}
              aria-label={`Save ${artifact.name}`}
            >
              Save
            </Button>
          </Group>
        </Group>
        {picture(artifact) && <Picture job={job} artifact={artifact} />}
        {open && <Words job={job} artifact={artifact} />}
      </Stack>
    </Card>
  );
}

function Picture({ job, artifact }: { job: JobRead; artifact: ArtifactRead }) {
  return (
    <Image
      src={`${queries.artifactPath(job.id, artifact.name)}#${artifact.sha256.slice(0, 8)}`}
      alt={`Picture ${artifact.name} of the run`}
      loading="lazy"
      radius="sm"
      bg="white"
      fit="contain"
      mah={480}
    />
  );
}

function Words({ job, artifact }: { job: JobRead; artifact: ArtifactRead }) {
  const query = useQuery(queries.words(job.id, artifact.name, artifact.sha256));
  const text = query.data;
  if (query.error) return <Failure error={query.error} again={() => void query.refetch()} />;
  if (text === undefined) return <Waiting />;
  return (
    <>
      <Code
        block
        mah={360}
        style={{ overflow: "auto" }}
        tabIndex={0}
        role="region"
        aria-label={`Content of ${artifact.name}`}
      >
        {text.slice(0, SHOWN_CHARACTERS)}
      </Code>
      {text.length > SHOWN_CHARACTERS && (
        <Text size="xs" c="dimmed">
          The beginning. Save the file to see all {integer(text.length)} characters.
        </Text>
      )}
    </>
  );
}
