/** The files of a run: images are shown, with a slider over their steps, text opens on demand, everything can be downloaded. */

import { Button, Card, Code, Group, Image, SimpleGrid, Slider, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Download, Eye } from "lucide-react";
import { useState } from "react";

import "../program/program.css";

import * as queries from "../../api/queries";
import type { ArtifactRead, JobRead } from "../../api/schema";
import { isRemoved, Removed } from "../personal/Removed";
import { Answer, Empty, Failure, Waiting } from "../../components/Feedback";
import { Notebook } from "../program/Notebook";
import { parsedNotebook } from "../program/notebooks";
import { byName, bytes, integer } from "../../format";
import { FINAL } from "../../api/states";
import { inSteps, type ImageSteps } from "./files/image-steps";

const MAX_PREVIEW_BYTES = 2 * 2 ** 20;
/** Figures are in it as text. */
const MAX_NOTEBOOK_BYTES = 16 * 2 ** 20;
const MAX_SHOWN_CHARACTERS = 20_000;

export function Files({ job }: { job: JobRead }) {
  const query = useQuery(queries.artifacts(job.id));
  return (
    <Answer query={query}>
      {({ items }) =>
        items.length === 0 && isRemoved(job, "files") ? (
          <Removed job={job} part="files" />
        ) : items.length === 0 ? (
          <Card>
            <Empty title={FINAL.has(job.state) ? "This run saved no files" : "No files yet"}>
              Images, tables and checkpoints appear here when the run saves them.
            </Empty>
          </Card>
        ) : (
          <SimpleGrid cols={{ base: 1, md: 2 }}>
            <ImageCards job={job} files={items} />
            {items
              .filter((artifact) => !isImage(artifact))
              .sort(byFileName)
              .map((artifact) => (
                <FileCard key={artifact.name} job={job} artifact={artifact} />
              ))}
          </SimpleGrid>
        )
      }
    </Answer>
  );
}

/** The images of a run, for its overview; nothing where there are none. */
export function Images({ job }: { job: JobRead }) {
  const { data: found } = useQuery(queries.artifacts(job.id));
  if (found?.items.some(isImage) !== true) return null;
  return (
    <section aria-labelledby="images">
      <Title order={2} size="h4" id="images" mb="xs">
        Images
      </Title>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <ImageCards job={job} files={found.items} />
      </SimpleGrid>
    </section>
  );
}

function ImageCards({ job, files }: { job: JobRead; files: readonly ArtifactRead[] }) {
  return inSteps(files.filter(isImage).sort(byFileName)).map((images) =>
    images.steps.length > 1 ? (
      <StepsCard key={images.name} job={job} images={images} />
    ) : (
      images.steps.map(({ image }) => <FileCard key={image.name} job={job} artifact={image} />)
    ),
  );
}

function byFileName(a: ArtifactRead, b: ArtifactRead): number {
  return byName(a.name, b.name);
}

function isImage(artifact: ArtifactRead): boolean {
  return artifact.media_type.startsWith("image/") && artifact.size_bytes <= MAX_PREVIEW_BYTES;
}

function isText(artifact: ArtifactRead): boolean {
  if (artifact.name.endsWith(".ipynb")) return artifact.size_bytes <= MAX_NOTEBOOK_BYTES;
  return /^text\/|json|yaml|csv|markdown/.test(artifact.media_type) && artifact.size_bytes <= MAX_PREVIEW_BYTES;
}

/** One image of many, chosen by a slider; the newest step at first, also while more arrive. */
function StepsCard({ job, images }: { job: JobRead; images: ImageSteps<ArtifactRead> }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const last = images.steps.length - 1;
  const at = Math.min(chosen ?? last, last);
  const { step, image } = images.steps[at]!;
  return (
    <Stack gap="xs">
      <FileCard job={job} artifact={image} />
      <Slider
        min={0}
        max={last}
        value={at}
        onChange={(to) => setChosen(to === last ? null : to)}
        label={`${step}`}
        thumbLabel={`Step of ${images.name}`}
        thumbValueText={() => `${step}`}
        mx="xs"
      />
      <Text size="xs" c="dimmed" className="numbers" ta="center">
        Image {integer(at + 1)} of {integer(last + 1)}, step {integer(step)}
      </Text>
    </Stack>
  );
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
            {isText(artifact) && (
              <Button
                size="xs"
                variant="subtle"
                leftSection={<Eye size={15} aria-hidden />}
                aria-expanded={open}
                aria-label={`View ${artifact.name}`}
                onClick={() => setOpen(!open)}
              >
                {open ? "Close" : "View"}
              </Button>
            )}
            <Button
              component="a"
              href={queries.artifactPath(job.id, artifact.name)}
              download
              size="xs"
              variant="default"
              leftSection={<Download size={15} aria-hidden />}
              aria-label={`Download ${artifact.name}`}
            >
              {" "}
              Download
            </Button>
          </Group>
        </Group>
        {isImage(artifact) && <ImagePreview job={job} artifact={artifact} />}
        {open && <TextPreview job={job} artifact={artifact} />}
      </Stack>
    </Card>
  );
}

function ImagePreview({ job, artifact }: { job: JobRead; artifact: ArtifactRead }) {
  return (
    <Image
      src={`${queries.artifactPath(job.id, artifact.name)}#${artifact.sha256.slice(0, 8)}`}
      alt={`Image ${artifact.name}`}
      loading="lazy"
      radius="sm"
      bg="white"
      fit="contain"
      mah={480}
    />
  );
}

function TextPreview({ job, artifact }: { job: JobRead; artifact: ArtifactRead }) {
  const query = useQuery(queries.artifactText(job.id, artifact.name, artifact.sha256));
  const text = query.data;
  if (query.error) return <Failure error={query.error} again={() => void query.refetch()} />;
  if (text === undefined) return <Waiting />;
  const notebook = artifact.name.endsWith(".ipynb") ? parsedNotebook(text) : null;
  return (
    <>
      {notebook !== null ? (
        <Notebook notebook={notebook} />
      ) : (
        <Code
          block
          mah={360}
          style={{ overflow: "auto" }}
          tabIndex={0}
          role="region"
          aria-label={`Content of ${artifact.name}`}
        >
          {text.slice(0, MAX_SHOWN_CHARACTERS)}
        </Code>
      )}
      {notebook === null && text.length > MAX_SHOWN_CHARACTERS && (
        <Text size="xs" c="dimmed">
          Only the beginning. Download the file to see all {integer(text.length)} characters.
        </Text>
      )}
    </>
  );
}
