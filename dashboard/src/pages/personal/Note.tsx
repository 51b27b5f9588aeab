/** The note on a run: plain text of its owner or of staff. */

import { ActionIcon, Button, Card, Group, Text, Textarea, Title, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { StickyNote } from "lucide-react";
import { useState } from "react";

import * as queries from "../../api/queries";
import type { JobRead } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { useChangeJob } from "./useChangeJob";

const MAX_CHARACTERS = 4000;

/** Writes the first note on a run. */
export function AddNote({ job }: { job: JobRead }) {
  const [opened, { open, close }] = useDisclosure();
  const changes = useMayChange(job);
  if (!changes || (job.note ?? null) !== null) return null;
  return (
    <>
      <Tooltip label="Add a note">
        <ActionIcon variant="subtle" color="gray" size="sm" aria-label="Add a note" onClick={open}>
          <StickyNote size={14} aria-hidden />
        </ActionIcon>
      </Tooltip>
      <NoteDialog job={job} opened={opened} close={close} />
    </>
  );
}

export function Note({ job }: { job: JobRead }) {
  const [opened, { open, close }] = useDisclosure();
  const changes = useMayChange(job);
  const note = job.note ?? null;
  if (note === null) return null;
  return (
    <Card component="section" aria-labelledby="note" padding="sm">
      <Group justify="space-between" mb={4}>
        <Title order={2} size="h5" id="note">
          Note
        </Title>
        {changes && (
          <Button size="compact-xs" variant="subtle" color="gray" onClick={open}>
            Edit note
          </Button>
        )}
      </Group>
      <Text size="sm" className="break" style={{ whiteSpace: "pre-wrap" }}>
        {note}
      </Text>
      <NoteDialog job={job} opened={opened} close={close} />
    </Card>
  );
}

function useMayChange(job: JobRead): boolean {
  const { data: me } = useQuery(queries.me);
  return me !== undefined && (me.id === job.owner_id || me.teaches);
}

function NoteDialog({ job, opened, close }: { job: JobRead; opened: boolean; close: () => void }) {
  return (
    <Dialog title="Note" opened={opened} close={close} size="lg">
      <EditNote job={job} close={close} />
    </Dialog>
  );
}

function EditNote({ job, close }: { job: JobRead; close: () => void }) {
  const [text, setText] = useState(job.note ?? "");
  const save = useChangeJob(job.id, () => ({ note: text.trim() || null }), close);
  return (
    <Ask action="Save" busy={save.isPending} error={save.error} send={() => save.mutate(undefined)}>
      <Textarea
        label="Text"
        description="All who can see the run can read it"
        autosize
        minRows={5}
        maxRows={16}
        maxLength={MAX_CHARACTERS}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        data-autofocus
      />
    </Ask>
  );
}
