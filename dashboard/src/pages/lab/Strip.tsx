/** How busy a GPU was, and how full: a pixel for each cell, the darker the more. */

import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";

import type { TimelineGpuRead, TimelineRead } from "../../api/schema";
import { stripText, type Axis } from "./lanes";

/** Utilisation and memory, as `--fill` and `--timeline-memory`. */
const COLORS = {
  light: [
    [27, 127, 158],
    [86, 64, 155],
  ],
  dark: [
    [86, 180, 233],
    [179, 162, 242],
  ],
} as const;
/** An idle GPU that was read looks different from one that was not. */
const FAINTEST = 0.06;

export function Strip({ data, gpu, axis }: { data: TimelineRead; gpu: TimelineGpuRead; axis: Axis }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scheme = useComputedColorScheme("light");
  const cells = gpu.utilization_percent.length;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || cells === 0) return;
    const image = context.createImageData(cells, 2);
    [gpu.utilization_percent, gpu.memory_percent].forEach((values, row) => {
      values.forEach((value, cell) => {
        if (value === null) return;
        const alpha = FAINTEST + (1 - FAINTEST) * Math.min(1, value / 100);
        image.data.set([...COLORS[scheme][row]!, Math.round(255 * alpha)], 4 * (row * cells + cell));
      });
    });
    context.putImageData(image, 0, 0);
  }, [gpu, scheme, cells]);
  const start = Date.parse(data.start);
  const whole = axis.end - axis.start;
  const left = (100 * (start - axis.start)) / whole;
  const width = (100 * cells * data.cell_seconds * 1000) / whole;
  return (
    <canvas
      ref={canvas}
      width={cells}
      height={2}
      role="img"
      aria-label={stripText(gpu)}
      style={{ marginLeft: `${left}%`, width: `${width}%` }}
    />
  );
}
