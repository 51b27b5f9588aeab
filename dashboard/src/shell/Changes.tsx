/** What is new, from the changelog. */

import { Anchor, Code, List, Modal, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { address, docs } from "../api/base";
import { Answer } from "../components/Feedback";
import { shortTime } from "../format";
import { pieces, since, type Release } from "./changes";

const changes = {
  queryKey: ["changes"],
  queryFn: async (): Promise<Release[]> => {
    const answer = await fetch(address("/docs/changes.json"));
    if (!answer.ok) throw new Error("The documentation of this lab is not built. Its operator can run: make docs");
    return (await answer.json()) as Release[];
  },
  staleTime: Infinity,
};

export default function Changes({ seen, close }: { seen: string | null; close: () => void }) {
  const query = useQuery(changes);
  return (
    <Modal opened onClose={close} title="What is new" size="xl" closeButtonProps={{ "aria-label": "Close" }}>
      <Stack>
        <Answer query={query}>
          {(releases) => since(releases, seen).map((release) => <OneRelease key={release.version} release={release} />)}
        </Answer>
        <Anchor href={docs("changelog.html")} target="_blank" underline="always" size="sm">
          All changes
        </Anchor>
      </Stack>
    </Modal>
  );
}

function OneRelease({ release }: { release: Release }) {
  return (
    <section>
      <Title order={2} size="h4">
        Version {release.version}
        {release.date !== null && (
          <Text span c="dimmed" size="sm" ml="xs">
            {shortTime(new Date(`${release.date}T12:00:00`), false)}
          </Text>
        )}
      </Title>
      {release.sections.map(({ title, groups }) => (
        <section key={title}>
          <Title order={3} size="h5" mt="sm">
            {title}
          </Title>
          {groups.map((group, i) => (
            <div key={i}>
              {group.title !== null && (
                <Text fw={600} size="sm" mt="xs">
                  {group.title}
                </Text>
              )}
              <List size="sm" spacing={4} mt={4}>
                {group.entries.map((entry, at) => (
                  <List.Item key={at} className="break">
                    {pieces(entry).map(({ text, code }, part) =>
                      code ? <Code key={part}>{text}</Code> : <span key={part}>{text}</span>,
                    )}
                  </List.Item>
                ))}
              </List>
            </div>
          ))}
        </section>
      ))}
    </section>
  );
}
