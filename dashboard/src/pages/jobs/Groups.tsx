/** Runs grouped by one or more columns, with mean and spread of the others. */

import { Card, Table, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import * as queries from "../../api/queries";
import type { FieldStatistics, JobGroup } from "../../api/schema";
import { Answer, Empty } from "../../components/Feedback";
import { AnchorLink } from "../../components/Links";
import { counted, integer, number, NOTHING, value } from "../../format";
import { equals, isCurve, title } from "./columns";

export function Groups({ table }: { table: queries.TableSearch }) {
  const query = useQuery(queries.jobGroups({ ...table, columns: table.columns?.filter((name) => !isCurve(name)) }));
  return (
    <Answer query={query}>
      {({ by, columns, items, groups, total, complete }) => (
        <Card padding={0}>
          <Text size="sm" c="dimmed" p="xs" pl="md" aria-live="polite">
            {counted(groups, "group")} of {counted(total, "job")}
            {groups > items.length && `, ${integer(items.length)} shown`}
            {!complete && ". Only the newest jobs are counted; a filter narrows them"}. Mean ± standard deviation.
            Below: minimum to maximum, number of values.
          </Text>
          {items.length === 0 ? (
            <Empty title="No job matches" />
          ) : (
            <Table.ScrollContainer minWidth={280}>
              <Table verticalSpacing={6} horizontalSpacing="md">
                <Table.Thead>
                  <Table.Tr>
                    {[...by, ...columns].map((name, i) => (
                      <Table.Th key={`${i} ${name}`} title={name}>
                        {title(name)}
                      </Table.Th>
                    ))}
                    <Table.Th>Runs</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((group, i) => (
                    <Row key={i} group={group} by={by} table={table} />
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          )}
        </Card>
      )}
    </Answer>
  );
}

function Row({ group, by, table }: { group: JobGroup; by: string[]; table: queries.TableSearch }) {
  const where = [...(table.where ?? []), ...by.map((name, i) => equals(name, group.by[i] ?? null))];
  return (
    <Table.Tr>
      {group.by.map((entry, i) => (
        <Table.Td key={i} className="numbers">
          {entry === null ? NOTHING : value(entry)}
        </Table.Td>
      ))}
      {group.columns.map((of, i) => (
        <Table.Td key={i} className="numbers" style={{ whiteSpace: "nowrap" }}>
          <Statistics of={of} />
        </Table.Td>
      ))}
      <Table.Td>
        <AnchorLink to="/jobs" search={{ ...table, by: undefined, where }} size="sm" underline="always">
          {integer(group.runs)}
        </AnchorLink>
      </Table.Td>
    </Table.Tr>
  );
}

function Statistics({ of }: { of: FieldStatistics }) {
  if (of.mean === null) return <>{NOTHING}</>;
  return (
    <>
      {number(of.mean, 5)}
      {of.sd !== null && (
        <Text span size="sm" c="dimmed">
          {" "}
          ± {number(of.sd, 2)}
        </Text>
      )}
      {of.n > 1 && (
        <Text size="xs" c="dimmed">
          {number(of.min)} to {number(of.max)}, n {of.n}
        </Text>
      )}
    </>
  );
}
