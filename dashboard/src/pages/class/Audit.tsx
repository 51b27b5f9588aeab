/** Who did what, newest first. */

import { Button, Card, Group, Stack, Table, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { infiniteQueryOptions, useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, data } from "../../api/client";
import { Answer, Empty } from "../../components/Feedback";
import { fullTime, NOTHING } from "../../format";

const audit = (actor: string) =>
  infiniteQueryOptions({
    queryKey: ["audit", actor],
    queryFn: ({ pageParam, signal }) =>
      data(
        api.GET("/v1/audit", {
          params: { query: { actor: actor || undefined, limit: 50, cursor: pageParam } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });

export function Audit() {
  const [words, setWords] = useState("");
  const [actor] = useDebouncedValue(words.trim(), 250);
  const query = useInfiniteQuery(audit(actor));
  const entries = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Stack gap="sm">
      <TextInput
        label="Who"
        placeholder="user:sam"
        value={words}
        onChange={(event) => setWords(event.currentTarget.value)}
        w={{ base: "100%", xs: "20rem" }}
      />
      <Answer query={query}>
        {() =>
          entries.length === 0 ? (
            <Card>
              <Empty title="Nothing is noted of this" />
            </Card>
          ) : (
            <Card padding={0}>
              <Table.ScrollContainer minWidth={320}>
                <Table verticalSpacing={5} horizontalSpacing="sm">
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>When</Table.Th>
                      <Table.Th>Who</Table.Th>
                      <Table.Th visibleFrom="xs">Did</Table.Th>
                      <Table.Th visibleFrom="sm">To</Table.Th>
                      <Table.Th visibleFrom="md">From</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {entries.map((entry) => (
                      <Table.Tr key={entry.id}>
                        <Table.Td className="numbers" style={{ whiteSpace: "nowrap" }}>
                          <time dateTime={entry.at}>{fullTime(entry.at)}</time>
                        </Table.Td>
                        <Table.Td className="break">
                          {entry.actor}
                          <Text size="xs" c="dimmed" hiddenFrom="xs" style={{ whiteSpace: "nowrap" }}>
                            {entry.action}
                          </Text>
                        </Table.Td>
                        <Table.Td visibleFrom="xs">{entry.action}</Table.Td>
                        <Table.Td visibleFrom="sm">
                          <Text span size="xs" className="mono break">
                            {entry.target ?? NOTHING}
                          </Text>
                        </Table.Td>
                        <Table.Td visibleFrom="md">
                          <Text span size="xs" className="mono">
                            {entry.address ?? NOTHING}
                          </Text>
                        </Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              </Table.ScrollContainer>
              {query.hasNextPage && (
                <Group justify="center" p="sm">
                  <Button
                    variant="default"
                    size="sm"
                    onClick={() => void query.fetchNextPage()}
                    loading={query.isFetchingNextPage}
                  >
                    Show older
                  </Button>
                </Group>
              )}
            </Card>
          )
        }
      </Answer>
    </Stack>
  );
}
