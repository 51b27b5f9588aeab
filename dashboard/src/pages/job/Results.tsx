/** The result of a run. */

import { Card, Code, Spoiler, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { writeJson } from "../../api/exact";
import * as queries from "../../api/queries";
import type { JobRead } from "../../api/schema";
import { Fields, inOrder } from "../../components/Facts";

export function Results({ job }: { job: JobRead }) {
  const { data: experiment } = useQuery(queries.experiment(job.experiment));
  if (job.result === null) return null;
  const entries = Object.entries(inOrder(job.result, experiment?.result_schema));
  const flat = entries.filter(([, entry]) => !composite(entry));
  const deep = entries.filter(([, entry]) => composite(entry));
  return (
    <Card component="section" aria-labelledby="result">
      <Title order={2} size="h4" id="result" mb="sm">
        Result
      </Title>
      <Fields of={Object.fromEntries(flat)} label="Result" schema={experiment?.result_schema} />
      {deep.length > 0 && (
        <Spoiler
          maxHeight={flat.length > 0 ? 0 : 260}
          showLabel="Show all fields"
          hideLabel="Show fewer fields"
          mt="sm"
          styles={{ control: { fontSize: "var(--mantine-font-size-sm)" } }}
        >
          <Code block style={{ overflow: "auto", maxHeight: "60vh" }} tabIndex={0}>
            {deep.map(([name, entry]) => `${name}: ${writeJson(entry, 1)}`).join("\n")}
          </Code>
        </Spoiler>
      )}
    </Card>
  );
}

/** Too long for a line. */
function composite(entry: unknown): boolean {
  return typeof entry === "object" && entry !== null && writeJson(entry).length > 60;
}
