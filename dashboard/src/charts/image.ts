/** A chart as an image, with title and legend. */

import type uPlot from "uplot";

import type { Entry } from "./Legend";
import { saveAs } from "./series";

export function saveImage(
  plot: uPlot,
  title: string,
  legend: readonly Entry[],
  ink: { text: string; ground: string },
): void {
  const ratio = devicePixelRatio;
  const source = plot.ctx.canvas;
  const head = 34 * ratio;
  const line = 18 * ratio;
  const picture = document.createElement("canvas");
  picture.width = source.width;
  picture.height = source.height + head + line * legend.length + 8 * ratio;
  const ctx = picture.getContext("2d")!;
  ctx.fillStyle = ink.ground;
  ctx.fillRect(0, 0, picture.width, picture.height);
  ctx.fillStyle = ink.text;
  ctx.font = `bold ${14 * ratio}px system-ui, sans-serif`;
  ctx.fillText(title, 12 * ratio, 22 * ratio);
  ctx.drawImage(source, 0, head);
  ctx.font = `${12 * ratio}px system-ui, sans-serif`;
  legend.forEach(({ label, color }, i) => {
    const y = head + source.height + line * (i + 0.7);
    ctx.fillStyle = color;
    ctx.fillRect(12 * ratio, y - 4 * ratio, 18 * ratio, 3 * ratio);
    ctx.fillStyle = ink.text;
    ctx.fillText(label, 36 * ratio, y);
  });
  picture.toBlob((blob) => blob && saveAs(`${title}.png`, blob), "image/png");
}
