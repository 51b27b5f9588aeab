/** Times in the reader's zone: relative on the page, exact on hover and for a screen reader. */

import { Tooltip } from "@mantine/core";
import { useCallback, useSyncExternalStore } from "react";

import { now as labTime } from "../browser/clock";
import { ago, fullTime, NOTHING } from "../format";

/** One timer for all who want the time at the same interval: a table has hundreds. */
class Clock {
  private now = labTime();
  private readonly listeners = new Set<() => void>();
  private timer: number | undefined;

  constructor(private readonly everyMilliseconds: number) {}

  listen(heard: () => void): () => void {
    this.listeners.add(heard);
    this.timer ??= window.setInterval(() => this.tick(), this.everyMilliseconds);
    return () => {
      this.listeners.delete(heard);
      if (this.listeners.size > 0) return;
      window.clearInterval(this.timer);
      this.timer = undefined;
    };
  }

  /** A clock to which nobody listens stands still; the first reader sets it. */
  read(): number {
    const time = labTime();
    if (this.timer === undefined && Math.abs(time - this.now) > this.everyMilliseconds) this.now = time;
    return this.now;
  }

  private tick(): void {
    this.now = labTime();
    for (const heard of this.listeners) heard();
  }
}

const clocks = new Map<number, Clock>();

function clockOf(everyMilliseconds: number): Clock {
  const clock = clocks.get(everyMilliseconds) ?? new Clock(everyMilliseconds);
  clocks.set(everyMilliseconds, clock);
  return clock;
}

/** The current time in milliseconds, updated at an interval. */
export function useNow(everyMilliseconds: number): number {
  const clock = clockOf(everyMilliseconds);
  const listen = useCallback((heard: () => void) => clock.listen(heard), [clock]);
  return useSyncExternalStore(listen, () => clock.read());
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
