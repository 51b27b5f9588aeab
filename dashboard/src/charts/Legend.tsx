/** The names of the curves, and their values under the pointer. Only this is rendered again when the pointer moves. */

import { useEffect, useState, type RefObject } from "react";
import type uPlot from "uplot";

/** Called with the index of the point under the pointer, or null outside the chart. */
export type Pointed = (index: number | null) => void;

export interface Entry {
  label: string;
  color: string;
  dashed: boolean;
  /** Points without a line. */
  points: boolean;
  /** Column of the data. */
  column: number;
}

interface LegendProps {
  entries: readonly Entry[];
  data: uPlot.AlignedData;
  xLabel: string;
  formatX: (x: number) => string;
  formatY: (y: number) => string;
  hidden: ReadonlySet<string>;
  flip: (label: string) => void;
  pointed: RefObject<Pointed>;
}

export function Legend({ entries, data, xLabel, formatX, formatY, hidden, flip, pointed }: LegendProps) {
  const [cursor, setCursor] = useState<number | null>(null);
  useEffect(() => {
    pointed.current = setCursor;
  }, [pointed]);
  const at = cursor ?? data[0].length - 1;
  const x = data[0][at];
  return (
    <ul className="curves">
      <li className="numbers at">
        {xLabel} {x === undefined ? "" : formatX(x)}
      </li>
      {entries.map(({ label, color, dashed, points, column }) => {
        const y = data[column]?.[at];
        return (
          <li key={label}>
            <button type="button" aria-pressed={!hidden.has(label)} onClick={() => flip(label)}>
              <Swatch color={color} dashed={dashed} points={points} />
              <span className="break">{label}</span>
              {y !== null && y !== undefined && <span className="numbers value">{formatY(y)}</span>}
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function Swatch({ color, dashed, points }: Pick<Entry, "color" | "dashed" | "points">) {
  if (points) {
    return (
      <svg width="10" height="8" aria-hidden>
        <circle cx="5" cy="4" r="4" fill={color} />
      </svg>
    );
  }
  return (
    <svg width="18" height="8" aria-hidden>
      <line x1="0" y1="4" x2="18" y2="4" stroke={color} strokeWidth="3" strokeDasharray={dashed ? "5 3" : undefined} />
    </svg>
  );
}
