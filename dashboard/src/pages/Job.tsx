/** One run: progress, outcome, metrics, output and files. */

import { Breadcrumbs, Stack, Tabs, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";

import * as queries from "../api/queries";
import { Answer } from "../components/Feedback";
import { jobName } from "../components/JobLink";
import { AnchorLink } from "../components/Links";
import { TabStrip } from "../shell/TabStrip";
import type { JobTab } from "../tabs";
import { Files } from "./job/Files";
import { useEmptyTabs } from "./job/files/empty-tabs";
import { Header, JobFacts } from "./job/Header";
import { History } from "./job/History";
import { Memory } from "./job/Memory";
import { Output } from "./job/Output";
import { Outcome } from "./job/Outcome";
import { Overview } from "./job/Overview";
import { Headline } from "./job/Results";
import { Spec } from "./job/Spec";
import { Note } from "./personal/Note";
import { JobProgram } from "./program/JobProgram";

const TABS: Record<JobTab, string> = {
  overview: "Overview",
  memory: "Memory and utilisation",
  output: "Output",
  files: "Files",
  program: "Program",
  history: "History",
  spec: "Spec",
};

export function Job() {
  const { id } = useParams({ from: "/inside/jobs/$id" });
  const { tab = "overview" } = useSearch({ from: "/inside/jobs/$id" });
  const navigate = useNavigate({ from: "/jobs/$id" });
  const query = useQuery(queries.job(id));
  const empty = useEmptyTabs(query.data);
  return (
    <Answer query={query}>
      {(job) => (
        <Stack gap="md">
          <Breadcrumbs>
            <AnchorLink to="/jobs" size="sm">
              Jobs
            </AnchorLink>
            <Text size="sm" c="dimmed" className="clip">
              {jobName(job)}
            </Text>
          </Breadcrumbs>
          <Header job={job} />
          <Outcome job={job} />
          <Headline job={job} />
          <JobFacts job={job} />
          <Note job={job} />
          <Tabs
            value={tab}
            onChange={(chosen) =>
              void navigate({ search: { tab: chosen === "overview" ? undefined : (chosen as JobTab) }, replace: true })
            }
            keepMounted={false}
          >
            <TabStrip selected={tab}>
              {Object.entries(TABS)
                .filter(([value]) => value === tab || !empty.has(value))
                .map(([value, label]) => (
                  <Tabs.Tab key={value} value={value}>
                    {label}
                  </Tabs.Tab>
                ))}
            </TabStrip>
            <Tabs.Panel value="overview">
              <Overview job={job} />
            </Tabs.Panel>
            <Tabs.Panel value="memory">
              <Memory job={job} />
            </Tabs.Panel>
            <Tabs.Panel value="output">
              <Output job={job} />
            </Tabs.Panel>
            <Tabs.Panel value="files">
              <Files job={job} />
            </Tabs.Panel>
            {job.program && (
              <Tabs.Panel value="program">
                <JobProgram job={job} program={job.program} />
              </Tabs.Panel>
            )}
            <Tabs.Panel value="history">
              <History job={job} />
            </Tabs.Panel>
            <Tabs.Panel value="spec">
              <Spec job={job} />
            </Tabs.Panel>
          </Tabs>
        </Stack>
      )}
    </Answer>
  );
}
