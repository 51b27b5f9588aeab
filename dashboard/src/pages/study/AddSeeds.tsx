/** Adds seeds to every combination of a study: more runs, narrower intervals. */

import { Button, NumberInput, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Plus } from "lucide-react";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { StudyRead } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { useAction } from "../../components/useAction";
import { counted } from "../../format";

const MAX_SEEDS = 200;

export function AddSeeds({ study }: { study: StudyRead }) {
  const [opened, { open, close }] = useDisclosure();
  const [count, setCount] = useState<number | string>(2);
  const seeds = unused(study.seeds, Number(count) || 0);
  const send = useAction(
    () =>
      data(
        api.POST("/v1/studies/{study_id}/seeds", {
          params: { path: { study_id: study.id } },
          body: { seeds, fresh: false },
        }),
      ),
    (after) => {
      close();
      return `Added ${counted(after.runs - study.runs, "run")}.`;
    },
    true,
  );
  const left = MAX_SEEDS - study.seeds.length;
  const runs = seeds.length * study.comparison.length;
  return (
    <>
      <Button
        variant="default"
        size="sm"
        leftSection={<Plus size={16} aria-hidden />}
        onClick={open}
        disabled={left <= 0}
      >
        Add seeds
      </Button>
      <Dialog title="Add seeds" opened={opened} close={close}>
        <Ask
          action="Add"
          busy={send.isPending}
          ready={seeds.length > 0}
          error={send.error}
          send={() => send.mutate(undefined)}
        >
          <NumberInput
            label="Number of seeds"
            min={1}
            max={left}
            allowDecimal={false}
            value={count}
            onChange={setCount}
            data-autofocus
          />
          <Text size="sm" c="dimmed">
            {seeds.length === 0
              ? "Enter at least 1."
              : `${seeds.length === 1 ? "Seed" : "Seeds"} ${seeds.length > 6 ? `${seeds[0]} to ${seeds.at(-1)}` : seeds.join(", ")} for ${counted(study.comparison.length, "combination")}: up to ${counted(runs, "more run")}. Your finished runs are reused.`}
          </Text>
        </Ask>
      </Dialog>
    </>
  );
}

/** The smallest seeds that the study does not have. */
function unused(taken: readonly (number | bigint)[], count: number): number[] {
  const found: number[] = [];
  for (let seed = 0; found.length < Math.min(count, MAX_SEEDS - taken.length); seed++)
    if (!taken.includes(seed)) found.push(seed);
  return found;
}
