/** The version of the lab below the menu, and a dot if the user has not looked at it yet. */

import { Anchor, Group, Indicator, Text, UnstyledButton } from "@mantine/core";
import { lazy, Suspense, useState } from "react";

import { base, docs, version } from "../api/base";
import { part } from "../browser/loading";
import { recall, remember } from "../browser/storage";

const Changes = lazy(() => part(() => import("./Changes")));

export function Version({ userId }: { userId: string }) {
  const place = `gpulab.seen-version:${base}:${userId}`;
  // What was new before a user's first visit is not news to them.
  const [seen] = useState(() => seenIn(place));
  const [isNew, setNew] = useState(seen !== version);
  const [opened, setOpened] = useState(false);
  function open() {
    remember(place, version);
    setNew(false);
    setOpened(true);
  }
  return (
    <Group gap="sm" px="xs" pb={4} justify="space-between">
      <Indicator disabled={!isNew} size={8} offset={-4} color="green">
        <UnstyledButton onClick={open} className="quiet-link" title="What is new">
          <Text size="xs" c="dimmed">
            {version === "" ? "What is new" : `gpulab ${version}`}
            {isNew && <span className="visually-hidden">, new since your last visit</span>}
          </Text>
        </UnstyledButton>
      </Indicator>
      <Anchor href={docs("")} target="_blank" size="xs" c="dimmed">
        Documentation
      </Anchor>
      <Suspense>{opened && <Changes seen={seen} close={() => setOpened(false)} />}</Suspense>
    </Group>
  );
}

function seenIn(place: string): string {
  const before = recall(place);
  if (before === null) remember(place, version);
  return before ?? version;
}
