/** Deletes a study that is over, with its runs. */

import { Button, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Trash2 } from "lucide-react";

import { api, data } from "../../api/client";
import * as queries from "../../api/queries";
import type { StudyRead } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { useAction } from "../../components/useAction";
import { counted } from "../../format";

export function DeleteStudy({ study }: { study: StudyRead }) {
  const { data: me } = useQuery(queries.me);
  const [opened, { open, close }] = useDisclosure();
  const navigate = useNavigate();
  const remove = useAction(
    () => data(api.DELETE("/v1/studies/{study_id}", { params: { path: { study_id: study.id } } })),
    async (gone) => {
      await navigate({ to: "/studies" });
      const kept =
        gone.runs_kept > 0 ? ` ${counted(gone.runs_kept, "run")} ${gone.runs_kept === 1 ? "stays" : "stay"}.` : "";
      return `Deleted the study with ${counted(gone.runs_deleted, "run")}.${kept}`;
    },
    true,
  );
  if (study.state === "running" || me === undefined || (me.id !== study.owner_id && !me.teaches)) return null;
  return (
    <>
      <Button variant="default" size="sm" leftSection={<Trash2 size={16} aria-hidden />} onClick={open}>
        Delete
      </Button>
      <Dialog title="Delete this study?" opened={opened} close={close}>
        <Ask action="Delete" busy={remove.isPending} error={remove.error} send={() => remove.mutate(undefined)}>
          <Text size="sm">
            Its {counted(study.runs, "run")} and its report go too, with all they recorded. This cannot be undone. Runs
            that were handed in, or that another study has too, stay.
          </Text>
        </Ask>
      </Dialog>
    </>
  );
}
