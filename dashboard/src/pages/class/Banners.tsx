/** The texts that every page shows, for staff. */

import { Button, Card, Checkbox, Group, Stack, Table, Text, Textarea, TextInput, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";

import { api, data, done } from "../../api/client";
import * as queries from "../../api/queries";
import type { BannerRead } from "../../api/schema";
import { Ask, Dialog } from "../../components/Dialog";
import { Answer, Empty } from "../../components/Feedback";
import { useAction } from "../../components/useAction";
import { instant, isTime, TIME_FIELD } from "../../entered-time";
import { counted, NOTHING, setTime } from "../../format";
import { nameOf } from "../course/courses";
import { useCourse } from "./course";

const MAX_CHARACTERS = 500;

export function Banners() {
  const query = useQuery(queries.banners);
  return (
    <Card component="section" aria-labelledby="banners" padding={0}>
      <Group justify="space-between" p="md" pb="xs" gap="xs">
        <div>
          <Title order={2} size="h4" id="banners">
            Banners
          </Title>
          <Text size="sm" c="dimmed">
            Every page shows these texts until they end. A drained machine announces itself.
          </Text>
        </div>
        <NewBanner />
      </Group>
      <Answer query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No banners">Announce a maintenance, or what the class should know.</Empty>
          ) : (
            <Table.ScrollContainer minWidth={340}>
              <Table verticalSpacing={8} horizontalSpacing="md">
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Text</Table.Th>
                    <Table.Th>Maintenance from</Table.Th>
                    <Table.Th>Until</Table.Th>
                    <Table.Th>
                      <span className="visually-hidden">Actions</span>
                    </Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {items.map((banner) => (
                    <Row key={banner.id} banner={banner} />
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          )
        }
      </Answer>
    </Card>
  );
}

function Row({ banner }: { banner: BannerRead }) {
  const end = useAction(
    () => done(api.DELETE("/v1/banners/{banner_id}", { params: { path: { banner_id: banner.id } } })),
    () => "The banner is not shown any more.",
  );
  return (
    <Table.Tr>
      <Table.Td className="break" style={{ whiteSpace: "pre-line" }}>
        {banner.text}
        {banner.readers !== null && (
          <Text size="xs" c="dimmed">
            Only for {counted(banner.readers, "student")}
          </Text>
        )}
      </Table.Td>
      <Table.Td className="numbers">{banner.starts_at === null ? NOTHING : setTime(banner.starts_at)}</Table.Td>
      <Table.Td className="numbers">
        {banner.ends_at === null ? "the end of the drain" : setTime(banner.ends_at)}
      </Table.Td>
      <Table.Td ta="right">
        {banner.can_end && (
          <Button size="xs" variant="default" loading={end.isPending} onClick={() => end.mutate(undefined)}>
            End
          </Button>
        )}
      </Table.Td>
    </Table.Tr>
  );
}

function NewBanner() {
  const [opened, { open, close }] = useDisclosure();
  const [text, setText] = useState("");
  const [until, setUntil] = useState("");
  const [from, setFrom] = useState("");
  const course = useCourse();
  const { data: me } = useQuery(queries.me);
  const [everybody, setEverybody] = useState(false);
  const send = useAction(
    () =>
      data(
        api.POST("/v1/banners", {
          body: {
            text,
            ends_at: instant(until),
            starts_at: from === "" ? null : instant(from),
            course_id: everybody ? null : course?.id,
          },
        }),
      ),
    (made) => {
      close();
      setText("");
      setUntil("");
      setFrom("");
      return made.course_id === null ? "Every page shows the banner." : "The course sees the banner on every page.";
    },
    true,
  );
  return (
    <>
      <Button size="sm" leftSection={<Plus size={16} aria-hidden />} onClick={open}>
        New banner
      </Button>
      <Dialog title="New banner" opened={opened} close={close}>
        <Ask
          action="Show"
          busy={send.isPending}
          ready={text.trim() !== "" && isTime(until)}
          error={send.error}
          send={() => send.mutate(undefined)}
        >
          <Textarea
            label="Text"
            description="Plain text. Addresses that begin with https:// become links."
            autosize
            minRows={2}
            maxLength={MAX_CHARACTERS}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            data-autofocus
          />
          {course !== undefined && me?.role === "admin" && (
            <Checkbox
              label="Show it to all courses"
              description={`Otherwise only ${nameOf(course)} sees it.`}
              checked={everybody}
              onChange={(event) => setEverybody(event.currentTarget.checked)}
            />
          )}
          <Stack gap="xs">
            <TextInput
              label="Until"
              {...TIME_FIELD}
              value={until}
              onChange={(event) => setUntil(event.currentTarget.value)}
            />
            <TextInput
              label="Maintenance from"
              description="Only for a planned maintenance. The banner is shown before, and names both times."
              {...TIME_FIELD}
              value={from}
              onChange={(event) => setFrom(event.currentTarget.value)}
            />
          </Stack>
        </Ask>
      </Dialog>
    </>
  );
}
