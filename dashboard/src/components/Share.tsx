/** Who else can read a run or a study: only staff, the team, or the class. */

import { Button, Menu } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Check, Share2 } from "lucide-react";

import * as queries from "../api/queries";
import type { Audience } from "../api/schema";
import { useAction } from "./useAction";

const CHOICES: { audience: Audience | null; label: string; done: string }[] = [
  { audience: null, label: "Only you and staff", done: "Only the owner and staff can read it now." },
  { audience: "team", label: "Team", done: "The team can read it now." },
  { audience: "class", label: "Class", done: "The class can read it now." },
];

interface ShareProps {
  /** The owner's id. */
  owner: string | null;
  audience: Audience | null;
  share: (audience: Audience | null) => Promise<unknown>;
}

export function Share({ owner, audience, share }: ShareProps) {
  const { data: me } = useQuery(queries.me);
  const send = useAction(
    async (choice: (typeof CHOICES)[number]) => {
      await share(choice.audience);
      return choice.done;
    },
    (message) => message,
  );
  if (me === undefined || (me.id !== owner && !me.teaches)) return null;
  const shared = CHOICES.find((choice) => choice.audience === audience) ?? CHOICES[0]!;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="default" size="sm" leftSection={<Share2 size={16} aria-hidden />} loading={send.isPending}>
          {audience === null ? "Share" : `Shared: ${shared.label.toLowerCase()}`}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Who can read it</Menu.Label>
        {CHOICES.map((choice) => {
          const now = choice.audience === audience;
          return (
            <Menu.Item
              key={choice.label}
              aria-current={now || undefined}
              leftSection={<Check size={16} aria-hidden style={{ visibility: now ? "visible" : "hidden" }} />}
              onClick={() => now || send.mutate(choice)}
            >
              {choice.label}
            </Menu.Item>
          );
        })}
      </Menu.Dropdown>
    </Menu>
  );
}
