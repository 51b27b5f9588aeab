/** One study: its runs compared, its questions, and its report. */

import { Alert, Breadcrumbs, Button, Card, Group, List, Progress, Stack, Tabs, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { CircleStop, GitCompareArrows, RotateCcw } from "lucide-react";

import { api, data } from "../api/client";
import * as queries from "../api/queries";
import type { StudyRead } from "../api/schema";
import { Facts } from "../components/Facts";
import { Answer } from "../components/Feedback";
import { AnchorLink, ButtonLink } from "../components/Links";
import { Share } from "../components/Share";
import { Ago, useNow } from "../components/Time";
import { useAction } from "../components/useAction";
import { percent } from "../format";

import { oneOf } from "../search";
import { TabStrip } from "../shell/TabStrip";
import { STUDY_TABS } from "../tabs";
import { State, STUDY } from "../components/State";
import { DeleteStudy } from "./personal/DeleteStudy";
import { AddSeeds } from "./study/AddSeeds";
import { Charts } from "./study/charts/Charts";
import { Comparison } from "./study/Comparison";
import { Report } from "./study/Report";

export function Study() {
  const { id } = useParams({ from: "/inside/studies/$id" });
  const { tab } = useSearch({ from: "/inside/studies/$id" });
  const navigate = useNavigate({ from: "/studies/$id" });
  const query = useQuery(queries.study(id));
  return (
    <Answer query={query}>
      {(study) => (
        <Stack gap="md">
          <Breadcrumbs>
            <AnchorLink to="/studies" size="sm">
              Studies
            </AnchorLink>
            <Text size="sm" c="dimmed" className="clip">
              {study.name ?? study.title}
            </Text>
          </Breadcrumbs>
          <Head study={study} />
          {study.notes.length > 0 && (
            <Alert color="gray" variant="light" title="Before you read this">
              <List size="sm">
                {study.notes.map((note) => (
                  <List.Item key={note}>{note}</List.Item>
                ))}
              </List>
            </Alert>
          )}
          <Tabs
            value={tab ?? "runs"}
            onChange={(chosen) => void navigate({ search: { tab: oneOf(chosen, STUDY_TABS) }, replace: true })}
            keepMounted={false}
          >
            <TabStrip selected={tab ?? "runs"}>
              <Tabs.Tab value="runs">Runs compared</Tabs.Tab>
              <Tabs.Tab value="charts">Charts</Tabs.Tab>
              {study.questions.length > 0 && <Tabs.Tab value="questions">Questions</Tabs.Tab>}
              <Tabs.Tab value="report">Report</Tabs.Tab>
            </TabStrip>
            <Tabs.Panel value="runs">
              <Comparison study={study} />
            </Tabs.Panel>
            <Tabs.Panel value="charts">
              <Charts study={study} />
            </Tabs.Panel>
            <Tabs.Panel value="questions">
              <Questions study={study} />
            </Tabs.Panel>
            <Tabs.Panel value="report">
              <Report study={study} />
            </Tabs.Panel>
          </Tabs>
        </Stack>
      )}
    </Answer>
  );
}

function Head({ study }: { study: StudyRead }) {
  const now = useNow(5000);
  const at = { params: { path: { study_id: study.id } } };
  const cancel = useAction(
    () => data(api.POST("/v1/studies/{study_id}/cancel", at)),
    () => "Stopping the runs of this study.",
  );
  const retry = useAction(
    () => data(api.POST("/v1/studies/{study_id}/retry", at)),
    () => "The failed runs were submitted again.",
  );
  const jobs = study.comparison.flatMap((cell) => cell.job_ids);
  return (
    <Stack gap="sm">
      <Group justify="space-between" gap="sm" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Group gap="sm">
            <Title order={1} size="h2" className="break">
              {study.name ?? study.title}
            </Title>
            <State look={STUDY[study.state]} size="lg" />
          </Group>
          {study.name !== null && (
            <Text size="sm" c="dimmed">
              {study.title}
            </Text>
          )}
        </div>
        <Group gap="xs">
          <Share
            owner={study.owner_id ?? null}
            audience={study.shared_with ?? null}
            share={(audience) => data(api.POST("/v1/studies/{study_id}/share", { ...at, body: { audience } }))}
          />
          {study.state !== "cancelled" && study.seeds.length > 0 && <AddSeeds study={study} />}
          {jobs.length >= 2 && (
            <ButtonLink
              variant="default"
              size="sm"
              leftSection={<GitCompareArrows size={16} aria-hidden />}
              to="/compare"
              search={{ jobs: jobs.slice(0, 20) }}
            >
              Compare runs
            </ButtonLink>
          )}
          <DeleteStudy study={study} />
          {study.state === "running" && (
            <Button
              variant="default"
              size="sm"
              leftSection={<CircleStop size={16} aria-hidden />}
              loading={cancel.isPending}
              onClick={() => cancel.mutate(undefined)}
            >
              Cancel
            </Button>
          )}
          {(study.state === "failed" || study.state === "cancelled") && (
            <Button
              variant="default"
              size="sm"
              leftSection={<RotateCcw size={16} aria-hidden />}
              loading={retry.isPending}
              onClick={() => retry.mutate(undefined)}
            >
              Run failed again
            </Button>
          )}
        </Group>
      </Group>
      {study.state === "running" && (
        <Progress value={100 * study.progress} size="lg" aria-label={`Progress: ${percent(100 * study.progress)}`} />
      )}
      <Facts
        facts={[
          ["Created", <Ago key="created" moment={study.created_at} now={now} />],
          ["Owner", study.owner],
          ["Template", study.template ?? "grid"],
          ["Scale", study.scale ?? "custom"],
          ["Runs", `${study.runs}${study.reused > 0 ? `, ${study.reused} reused` : ""}`],
          ["Seeds", study.seeds.join(", ") || "none"],
        ]}
      />
    </Stack>
  );
}

function Questions({ study }: { study: StudyRead }) {
  return (
    <Card>
      <Stack gap="sm">
        {study.questions.map((question) => {
          const share = question.runs === 0 ? 100 : (100 * question.final) / question.runs;
          const failed = question.final - question.succeeded;
          return (
            <div key={question.question}>
              <Group justify="space-between" wrap="nowrap" gap="xs">
                <Text size="sm">
                  <b>{question.question}</b> {question.title}
                </Text>
                <Text size="sm" c="dimmed" className="numbers" style={{ whiteSpace: "nowrap" }}>
                  {question.final} of {question.runs} done
                  {failed > 0 && `, ${failed} failed`}
                </Text>
              </Group>
              <Progress value={share} mt={4} aria-label={`${question.question}: ${percent(share)}`} />
            </div>
          );
        })}
      </Stack>
    </Card>
  );
}
