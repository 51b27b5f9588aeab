/** The result of a run. */

import { Card, Code, Group, Spoiler, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { writeJson } from "../../api/exact";
import * as queries from "../../api/queries";
import type { JobRead } from "../../api/schema";
import { Fields, inOrder } from "../../components/Facts";
import { bytes, number, quantity } from "../../format";

const MAX_HEADLINE = 4;

/** The first numbers of the result, before everything else. */
export function Headline({ job }: { job: JobRead }) {
  const { data: experiment } = useQuery(queries.experiment(job.experiment));
  if (job.result === null) return null;
  const numbers = Object.entries(inOrder(job.result, experiment?.result_schema)).filter(
    ([, entry]) => typeof entry === "number",
  );
  if (numbers.length === 0) return null;
  return (
    <Group component="dl" gap="sm" style={{ columnGap: "var(--mantine-spacing-xl)" }} m={0} aria-label="Main result">
      {numbers.slice(0, MAX_HEADLINE).map(([name, entry]) => (
        <div key={name} style={{ display: "flex", flexDirection: "column-reverse" }}>
          <Text component="dt" size="xs" c="dimmed">
            {quantity(name)}
          </Text>
          <Text component="dd" m={0} fz="1.5rem" fw={650} lh={1.2} className="numbers">
            {name.endsWith("_bytes") ? bytes(entry as number) : number(entry as number)}
          </Text>
        </div>
      ))}
    </Group>
  );
}

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
