/** How much of something is in use: a bar, and the same in words. */

import "./meter.css";

import { Text } from "@mantine/core";
import { useEffect, useState } from "react";

/** Words of a meter, and the part of its bar that they describe. */
type MeterWords = readonly [words: string, part?: "used" | "reserved" | "predicted"];

interface MeterProps {
  label: string;
  /** Null if unknown. */
  total: number | null;
  used: number | null;
  reserved?: number;
  predicted?: number | null;
  text: readonly MeterWords[];
}

export function Meter({ label, total, used, reserved = 0, predicted = null, text }: MeterProps) {
  const share = (part: number | null) => (total === null || part === null ? 0 : Math.min(100, (100 * part) / total));
  return (
    <div className="meter">
      <div
        className="track"
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={total ?? 0}
        aria-valuenow={used ?? 0}
        aria-valuetext={text.map(([words]) => words).join(", ")}
      >
        {reserved > 0 && <div className="reserved" style={{ width: `${share(reserved)}%` }} />}
        <div
          className={used !== null && reserved > 0 && used > reserved ? "used over" : "used"}
          style={{ width: `${share(used)}%` }}
        />
        {predicted !== null && <div className="predicted" style={{ left: `${share(predicted)}%` }} />}
      </div>
      <Text size="xs" c="dimmed" className="numbers words" aria-hidden>
        {text.map(([words, part]) => (
          <span key={words}>
            {part !== undefined && <span className={`key ${part}`} />}
            {words}
          </span>
        ))}
      </Text>
    </div>
  );
}

const TRAIL = 60;
const trails = new Map<string, (number | null)[]>();

/** The readings of one source since the page was opened, newest last. */
export function useTrail(key: string, reading: number | null, now: number): readonly (number | null)[] {
  const [trail, setTrail] = useState(() => trails.get(key) ?? []);
  useEffect(() => {
    const longer = [...(trails.get(key) ?? []), reading].slice(-TRAIL);
    trails.set(key, longer);
    setTrail(longer);
    // Each tick is a reading, even with an unchanged value.
  }, [key, reading, now]);
  return trail;
}

export function Spark({ values, max }: { values: readonly (number | null)[]; max: number }) {
  const points = values.flatMap((value, i) =>
    value === null ? [] : [`${(i + TRAIL - values.length).toFixed(0)},${(16 - (15 * value) / max).toFixed(1)}`],
  );
  // One reading makes no line, and an empty chart looks idle.
  if (points.length < 2) return null;
  return (
    <svg width={TRAIL} height={17} viewBox={`0 0 ${TRAIL} 17`} aria-hidden className="spark">
      <line x1={0} x2={TRAIL} y1={16.5} y2={16.5} stroke="var(--line)" />
      <polyline points={points.join(" ")} fill="none" stroke="currentColor" strokeWidth="1.25" />
    </svg>
  );
}
