/** What one looks for first: the result, the end of a failed run's output, and the curves. */

import { Card, Group, Stack, Title } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { api, data } from "../../api/client";
import type { JobRead } from "../../api/schema";
import { Answer, Empty } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { Removed } from "../personal/Removed";
import { Curves } from "./Curves";
import { Images } from "./Files";
import { Results } from "./Results";
import { shownLines } from "./terminal";

const TAIL_BYTES = 8192;
const TAIL_LINES = 20;

export function Overview({ job }: { job: JobRead }) {
  return (
    <Stack>
      <Results job={job} />
      <Removed job={job} part="result" />
      {job.state === "failed" && <OutputEnd job={job} />}
      <Curves job={job} />
      <Images job={job} />
    </Stack>
  );
}

const outputEnd = (id: string) =>
  queryOptions({
    queryKey: ["job", id, "output-end"],
    queryFn: ({ signal }) =>
      data(
        api.GET("/v1/jobs/{job_id}/logs", {
          params: { path: { job_id: id }, query: { offset: -TAIL_BYTES, limit: TAIL_BYTES } },
          signal,
        }),
      ),
  });

function OutputEnd({ job }: { job: JobRead }) {
  const query = useQuery(outputEnd(job.id));
  const lines = useMemo(() => (query.data ? shownLines([query.data]).slice(-TAIL_LINES) : []), [query.data]);
  return (
    <Card component="section" aria-labelledby="output-end">
      <Group justify="space-between" mb="xs">
        <Title order={2} size="h4" id="output-end">
          End of the output
        </Title>
        <AnchorLink to="/jobs/$id" params={{ id: job.id }} search={{ tab: "output" }} size="sm">
          All output
        </AnchorLink>
      </Group>
      <Answer query={query}>
        {() =>
          lines.length === 0 ? (
            <Empty title="This run printed nothing" />
          ) : (
            <pre className="log" tabIndex={0} aria-label="End of the output">
              {lines.join("\n")}
            </pre>
          )
        }
      </Answer>
    </Card>
  );
}
