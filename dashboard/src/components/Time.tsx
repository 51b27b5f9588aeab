/** Times in the reader's zone: relative on the page, exact on hover and for a screen reader. */

import { Tooltip } from "@mantine/core";
import { useEffect, useState } from "react";

import { ago, fullTime, NOTHING } from "../format";

/** The current time in milliseconds, updated at an interval. */
export function useNow(everyMilliseconds: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), everyMilliseconds);
    return () => window.clearInterval(timer);
  }, [everyMilliseconds]);
  return now;
}

export function Ago({ moment, now }: { moment: string | null; now: number }) {
  if (moment === null) return <>{NOTHING}</>;
  return (
    <Tooltip label={fullTime(moment)}>
      <time dateTime={moment} title="">
        {ago(moment, now)}
      </time>
    </Tooltip>
  );
}
