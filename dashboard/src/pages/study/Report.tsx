/** The report as the lab renders it: a separate page, in a frame without scripts. */

import { Button, Card, Group, Stack } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";

import { address } from "../../api/base";
import { file } from "../../api/client";
import type { StudyRead } from "../../api/schema";
import { Answer, Empty, Waiting } from "../../components/Feedback";

const WAIT_SECONDS = 20;

const addressOf = (study: StudyRead) => address(`/v1/studies/${study.id}/report`);

const report = (study: StudyRead) =>
  queryOptions({
    queryKey: ["report", study.id, study.state, study.runs, study.states],
    queryFn: async ({ signal }): Promise<{ page: string | null }> => {
      const answer = await file(`${addressOf(study)}?wait=${WAIT_SECONDS}`, signal);
      return { page: answer.status === 202 ? null : await answer.text() };
    },
    refetchInterval: ({ state }) => (state.data?.page === null ? 1000 : false),
    staleTime: 60_000,
  });

export function Report({ study }: { study: StudyRead }) {
  const query = useQuery({ ...report(study), enabled: study.state !== "running" });
  if (study.state === "running") {
    return (
      <Card>
        <Empty title="The report is written when all runs are finished">
          Meanwhile, the table shows the finished runs.
        </Empty>
      </Card>
    );
  }
  const reportAddress = addressOf(study);
  return (
    <Answer query={query}>
      {({ page }) =>
        page === null ? (
          <Waiting />
        ) : (
          <Stack gap="xs">
            <Group gap="xs" justify="flex-end">
              <Button size="xs" variant="default" component="a" href={reportAddress} target="_blank" rel="noreferrer">
                Open in a new tab
              </Button>
              {(["html", "md", "json"] as const).map((format) => (
                <Button
                  key={format}
                  size="xs"
                  variant="default"
                  component="a"
                  href={`${reportAddress}?format=${format}`}
                  download={`report.${format}`}
                  leftSection={<Download size={14} aria-hidden />}
                >
                  {format}
                </Button>
              ))}
            </Group>
            <iframe title="Study report" className="report" sandbox="" srcDoc={page} />
          </Stack>
        )
      }
    </Answer>
  );
}
