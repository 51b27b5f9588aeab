/** A machine's state: a shape, a word and a colour. */

import { Badge } from "@mantine/core";
import { CircleAlert, CircleCheck, CirclePause, TriangleAlert, type LucideIcon } from "lucide-react";

const NODE_LOOKS: Record<string, { color: string; icon: LucideIcon; word: string }> = {
  up: { color: "teal", icon: CircleCheck, word: "Up" },
  draining: { color: "orange", icon: CirclePause, word: "Draining" },
  set_aside: { color: "orange", icon: TriangleAlert, word: "Set aside" },
  down: { color: "red", icon: CircleAlert, word: "Down" },
};

export function NodeState({ state }: { state: string }) {
  const look = NODE_LOOKS[state] ?? { color: "gray", icon: CircleAlert, word: state };
  return (
    <Badge
      color={look.color}
      variant="light"
      tt="none"
      className={`state state-${look.color}`}
      leftSection={<look.icon size={13} aria-hidden />}
    >
      {look.word}
    </Badge>
  );
}
