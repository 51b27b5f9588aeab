/** Anonymises or deletes a user, after it has said what that is about. For admins. */

import { Alert, Checkbox, SegmentedControl, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, data } from "../../api/client";
import type { UserRead } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { Facts } from "../../components/Facts";
import { Answer } from "../../components/Feedback";
import { useAction } from "../../components/useAction";
import { bytes, integer } from "../../format";
import { ExportButton } from "./OwnData";

type Mode = "anonymise" | "delete";
const MEANS: Record<Mode, string> = {
  anonymise:
    "A pseudonym takes the place of the name everywhere, in the audit too. Address, team and tokens are deleted. Runs, submissions and grades stay.",
  delete: "Runs, studies, programs, submissions, grades and files are deleted. The audit keeps a pseudonym.",
};

interface EraseUserProps {
  user: UserRead;
  opened: boolean;
  close: () => void;
}

export function EraseUser({ user, opened, close }: EraseUserProps) {
  return (
    <Dialog title={`Anonymise or delete ${user.name}`} opened={opened} close={close} size="lg">
      <Erase user={user} close={close} />
    </Dialog>
  );
}

function Erase({ user, close }: { user: UserRead; close: () => void }) {
  const [mode, setMode] = useState<Mode>("anonymise");
  const [sure, setSure] = useState(false);
  const at = { params: { path: { user_id: user.id } } };
  const about = useQuery({
    queryKey: ["users", user.id, "erase", mode],
    queryFn: () => data(api.POST("/v1/users/{user_id}/erase", { ...at, body: { mode, dry_run: true } })),
  });
  const send = useAction(
    () => data(api.POST("/v1/users/{user_id}/erase", { ...at, body: { mode, dry_run: false } })),
    () => {
      close();
      return `${user.name} can no longer sign in. The rest follows within minutes.`;
    },
    true,
  );
  return (
    <Ask
      action={mode === "delete" ? "Delete" : "Anonymise"}
      busy={send.isPending}
      ready={sure && about.data !== undefined}
      error={send.error}
      send={() => send.mutate(undefined)}
    >
      <SegmentedControl
        aria-label="What to do"
        data={[
          { value: "anonymise", label: "Anonymise" },
          { value: "delete", label: "Delete" },
        ]}
        value={mode}
        onChange={(chosen) => {
          setMode(chosen);
          setSure(false);
        }}
      />
      <Text size="sm">{MEANS[mode]}</Text>
      <Answer query={about}>
        {(counts) => (
          <Facts
            columns={{ base: 2, sm: 4 }}
            facts={[
              ["Runs", integer(counts.runs)],
              ["Live runs, cancelled first", integer(counts.live_runs)],
              ["Studies", integer(counts.studies)],
              ["Submissions", integer(counts.submissions)],
              ["Grades", integer(counts.grades)],
              ["Programs", integer(counts.programs)],
              ["Files", `${integer(counts.files)}, ${bytes(counts.file_bytes)}`],
              ["Audit events", integer(counts.audit_events)],
            ]}
          />
        )}
      </Answer>
      <Alert color="yellow" variant="light" title="This cannot be undone">
        <Stack gap="xs" align="flex-start">
          <Text size="sm">Export the data first if anybody may need it.</Text>
          <ExportButton userId={user.id} label={`Export the data of ${user.name}`} />
        </Stack>
      </Alert>
      <Checkbox
        label={`I want to ${mode} ${user.name}`}
        checked={sure}
        onChange={(event) => setSure(event.currentTarget.checked)}
      />
    </Ask>
  );
}
