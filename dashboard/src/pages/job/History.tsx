/** The events of a job, oldest first. */

import { Card, Text, Timeline } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import * as queries from "../../api/queries";
import type { JobRead } from "../../api/schema";
import { Answer } from "../../components/Feedback";
import { STATE_WORDS } from "../../api/states";
import { duration, eventName, fullTime } from "../../format";

export function History({ job }: { job: JobRead }) {
  const query = useQuery(queries.history(job.id));
  return (
    <Answer query={query}>
      {({ items }) => (
        <Card>
          <Timeline active={items.length} bulletSize={14} lineWidth={2}>
            {items.map((event, i) => {
              const before = items[i - 1];
              const passed = before ? (Date.parse(event.at) - Date.parse(before.at)) / 1000 : null;
              return (
                <Timeline.Item
                  key={event.id}
                  title={event.to_state ? STATE_WORDS[event.to_state] : eventName(event.type)}
                >
                  {event.message !== "" && (
                    <Text size="sm" className="break">
                      {event.message}
                    </Text>
                  )}
                  <Text size="xs" c="dimmed" className="numbers">
                    <time dateTime={event.at}>{fullTime(event.at)}</time>
                    {passed !== null && `, ${duration(passed)} later`}, by {event.actor.replace(/^(user|node):/, "")}
                    {event.attempt > 0 && `, attempt ${event.attempt}`}
                  </Text>
                </Timeline.Item>
              );
            })}
          </Timeline>
        </Card>
      )}
    </Answer>
  );
}
