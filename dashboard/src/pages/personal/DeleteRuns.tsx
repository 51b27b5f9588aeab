/** Deletes runs, one or many, and says of each that stays why. */

import { Button, List, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Trash2 } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { JobsDeleted } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { shortId } from "../../components/JobLink";
import { useAction } from "../../components/useAction";
import { counted } from "../../format";

const BATCH_SIZE = 100;

interface Outcome {
  deleted: string[];
  kept: Pick<JobsDeleted["kept"][number], "job_id" | "message">[];
}

async function deleteRuns(ids: readonly string[]): Promise<Outcome> {
  const all: Outcome = { deleted: [], kept: [] };
  for (let i = 0; i < ids.length; i += BATCH_SIZE) {
    try {
      const part = await data(api.POST("/v1/jobs/delete", { body: { job_ids: ids.slice(i, i + BATCH_SIZE) } }));
      all.deleted.push(...part.deleted);
      all.kept.push(...part.kept);
    } catch (error) {
      // Nothing is gone yet: the dialog shows why, and can be sent again.
      if (i === 0) throw error;
      const message = error instanceof Error ? error.message : String(error);
      all.kept.push(...ids.slice(i).map((job_id) => ({ job_id, message })));
      break;
    }
  }
  return all;
}

interface DeleteRunsProps {
  ids: readonly string[];
  size: "xs" | "sm";
  /** Called when at least one run is gone. */
  done: (deleted: readonly string[]) => void;
}

export function DeleteRuns({ ids, size, done }: DeleteRunsProps) {
  const [opened, { open, close }] = useDisclosure();
  const [kept, setKept] = useState<Outcome["kept"] | null>(null);
  const remove = useAction(
    () => deleteRuns(ids),
    (answer) => {
      if (answer.kept.length > 0) setKept(answer.kept);
      else close();
      if (answer.deleted.length > 0) done(answer.deleted);
      return answer.deleted.length > 0 ? `Deleted ${counted(answer.deleted.length, "run")}.` : null;
    },
    true,
  );
  function finish() {
    close();
    setKept(null);
    remove.reset();
  }
  return (
    <>
      <Button
        size={size}
        variant="default"
        leftSection={<Trash2 size={16} aria-hidden />}
        disabled={ids.length === 0}
        onClick={open}
      >
        Delete
      </Button>
      <Dialog
        title={kept === null ? `Delete ${counted(ids.length, "run")}?` : `${counted(kept.length, "run")} not deleted`}
        opened={opened}
        close={finish}
      >
        {kept === null ? (
          <Ask action="Delete" busy={remove.isPending} error={remove.error} send={() => remove.mutate(undefined)}>
            <Text size="sm">
              Metrics, output and files go too. This cannot be undone. Runs that were handed in, or whose study still
              runs, stay.
            </Text>
          </Ask>
        ) : (
          <Stack gap="sm">
            <List size="sm">
              {kept.map((run) => (
                <List.Item key={run.job_id}>
                  <span className="mono">{shortId(run.job_id)}</span>: {run.message}
                </List.Item>
              ))}
            </List>
            <Button onClick={finish} style={{ alignSelf: "flex-end" }}>
              Close
            </Button>
          </Stack>
        )}
      </Dialog>
    </>
  );
}
