/** Another name or other tags for a run. */

import { ActionIcon, TagsInput, TextInput, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Tag } from "lucide-react";
import { useState } from "react";

import * as queries from "../../api/queries";
import type { JobRead } from "../../api/schema";
import { changed } from "../../changed";
import { Ask, Dialog } from "../../components/Dialog";
import { useChangeJob } from "../personal/useChangeJob";

const MAX_TAGS = 20;

type Labelled = Pick<JobRead, "id" | "name" | "tags">;
const LABEL = "Edit name and tags";

export function EditLabels({ job }: { job: JobRead }) {
  const { data: me } = useQuery(queries.me);
  const [opened, { open, close }] = useDisclosure();
  if (me === undefined || (me.id !== job.owner_id && !me.teaches)) return null;
  return (
    <>
      <Tooltip label={LABEL}>
        <ActionIcon variant="subtle" color="gray" size="sm" aria-label={LABEL} onClick={open}>
          <Tag size={14} aria-hidden />
        </ActionIcon>
      </Tooltip>
      {opened && <LabelsDialog job={job} close={close} />}
    </>
  );
}

export function LabelsDialog({ job, close }: { job: Labelled; close: () => void }) {
  return (
    <Dialog title={LABEL} opened close={close}>
      <Labels job={job} close={close} />
    </Dialog>
  );
}

function Labels({ job, close }: { job: Labelled; close: () => void }) {
  const [name, setName] = useState(job.name ?? "");
  const [tags, setTags] = useState(job.tags);
  const entered = { name: name.trim() || null, tags };
  const [first] = useState(entered);
  const save = useChangeJob(job.id, () => changed(first, entered), close);
  return (
    <Ask action="Save" busy={save.isPending} error={save.error} send={() => save.mutate(undefined)}>
      <TextInput
        label="Name"
        description="Empty shows the experiment"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <TagsInput
        label="Tags"
        description="Press Enter after each tag"
        value={tags}
        onChange={setTags}
        maxTags={MAX_TAGS}
        acceptValueOnBlur
      />
    </Ask>
  );
}
