/** Who else may read a run or a study: nobody, one's team, or the class. */

import { Button, Menu } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Check, Share2 } from "lucide-react";

import * as queries from "../api/queries";
import type { Audience } from "../api/schema";
import { useAction } from "./useAction";

const CHOICES: { audience: Audience | null; label: string; said: string }[] = [
  { audience: null, label: "Nobody but staff", said: "Only its owner and staff see it now." },
  { audience: "team", label: "The team", said: "The team may read it now." },
  { audience: "class", label: "The class", said: "The class may read it now." },
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
      return choice.said;
    },
    (said) => said,
  );
  if (me === undefined || (me.id !== owner && me.role === "student")) return null;
  const shared = CHOICES.find((choice) => choice.audience === audience) ?? CHOICES[0]!;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="default" size="sm" leftSection={<Share2 size={16} aria-hidden />} loading={send.isPending}>
          {audience === null ? "Share" : `Shared: ${shared.label.toLowerCase()}`}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Who may read it</Menu.Label>
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
