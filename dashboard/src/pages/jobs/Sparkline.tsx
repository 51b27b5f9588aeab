/** A curve the size of a word. A value that is not finite leaves a gap. */

const WIDTH = 88;
const HEIGHT = 26;

export function Sparkline({ points, label }: { points: readonly (number | null)[]; label: string }) {
  const known = points.filter((point): point is number => point !== null);
  if (known.length === 0) return null;
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const x = (i: number) => 1 + (i * (WIDTH - 2)) / Math.max(points.length - 1, 1);
  const path = points
    .map((point, i) => {
      if (point === null) return "";
      const y = HEIGHT - 2 - ((point - low) / span) * (HEIGHT - 4);
      return `${i > 0 && points[i - 1] !== null ? "L" : "M"}${x(i).toFixed(1)} ${y.toFixed(1)}`;
    })
    .join("");
  return (
    <svg role="img" aria-label={label} width={WIDTH} height={HEIGHT} className="sparkline">
      <path d={path} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinejoin="round" strokeLinecap="round" />
    </svg>
  );
}
