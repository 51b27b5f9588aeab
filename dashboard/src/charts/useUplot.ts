/** A uPlot that lives as long as its chart: made anew when its form changes, and otherwise only given new data. */

import { useMergedRef, useResizeObserver } from "@mantine/hooks";
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";

import type { Pointed } from "./Legend";
import { optionsOf, type Drawing, type Look } from "./options";
import { aligned, positive } from "./series";

const MIN_WIDTH_PIXELS = 50;

export function useUplot(props: Drawing, look: Look, height: number, hidden: ReadonlySet<string>) {
  const { curves, log = false, marks } = props;
  const [observe, size] = useResizeObserver<HTMLDivElement>();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const pointed = useRef<Pointed>(() => undefined);
  const [zoomed, setZoomed] = useState(false);
  const data = useMemo(() => aligned(log ? curves.map(positive) : curves), [curves, log]);
  const latest = useRef({ props, data });
  latest.current = { props, data };
  const shape = JSON.stringify(curves.map((c, i) => [c.label, c.faint, c.color ?? i, c.dash, c.points]));
  const width = Math.floor(size.width);

  useEffect(() => {
    const parent = box.current;
    if (parent === null || width < MIN_WIDTH_PIXELS) return;
    const { props: given, data: now } = latest.current;
    const options = optionsOf(given, {
      width,
      height,
      look,
      data: now,
      hidden,
      latest: () => latest.current.props,
      pointed: (index) => pointed.current(index),
      zoomed: (part) => {
        setZoomed(part);
        latest.current.props.onZoom?.(part);
      },
    });
    const made = new uPlot(options, now, parent);
    plot.current = made;
    return () => {
      made.destroy();
      plot.current = null;
    };
    // New data, another width and hidden curves reach the plot below.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, look, width > 0, height, log, props.binary, props.fromZero, props.clock, props.xLabel]);

  useEffect(() => {
    if (width >= MIN_WIDTH_PIXELS) plot.current?.setSize({ width, height });
  }, [width, height]);

  useEffect(() => {
    const made = plot.current;
    if (made === null || made.data === data) return;
    const { min, max } = made.scales["x"]!;
    made.setData(data, !zoomed);
    if (zoomed && min != null && max != null) made.setScale("x", { min, max });
  }, [data, zoomed]);

  useEffect(() => plot.current?.redraw(false), [marks]);

  useEffect(() => {
    curves.forEach((curve, index) => {
      const show = !hidden.has(curve.label);
      const made = plot.current;
      if (made?.series[index + 1] && made.series[index + 1]!.show !== show) made.setSeries(index + 1, { show });
    });
  }, [hidden, curves]);

  return { place: useMergedRef(observe, box), plot, data, zoomed, pointed };
}
