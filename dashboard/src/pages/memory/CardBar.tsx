/** A card's memory: what the run takes of it by cause, and what is left. */

import { Text } from "@mantine/core";

import { bytes, percent } from "../../format";
import { CAUSES, entries, mixOf, type Sizes } from "./causes";

interface CardBarProps {
  name: string;
  total: number;
  sizes: Sizes;
  peak: number;
}

export function CardBar({ name, total, sizes, peak }: CardBarProps) {
  const widest = Math.max(total, peak);
  const rest = total - peak;
  const words =
    rest >= 0
      ? `${bytes(peak)} of ${bytes(total)}; ${bytes(rest)} free`
      : `${bytes(peak)} needed; ${bytes(-rest)} more than the card's ${bytes(total)}`;
  return (
    <div>
      <div
        className="card-bar"
        role="meter"
        aria-label={`Memory of ${name}`}
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={Math.min(peak, total)}
        aria-valuetext={words}
      >
        <div className="filled" style={{ width: `${(100 * peak) / widest}%`, background: mixOf(sizes) }} />
        {rest < 0 && <div className="beyond" style={{ width: `${(-100 * rest) / widest}%` }} />}
      </div>
      <Text size="xs" c="dimmed" mt={4} className="numbers" aria-hidden>
        {name}: {words}.
      </Text>
    </div>
  );
}

/** No part that takes something takes nothing. */
function shareText(share: number): string {
  return share > 0 && share < 0.005 ? "< 1 %" : percent(100 * share);
}

export function Causes({ sizes, peak }: { sizes: Sizes; peak: number }) {
  return (
    <ul className="causes numbers" aria-label="Causes of the peak">
      {entries(sizes).map(([cause, size]) => (
        <li key={cause}>
          <span className="hue" style={{ background: `var(--cause-${cause})` }} aria-hidden />
          {CAUSES[cause]} {bytes(size)} ({shareText(size / peak)})
        </li>
      ))}
    </ul>
  );
}
