/** One chart: drag to zoom, double-click to reset, values under the pointer. */

import "uplot/dist/uPlot.min.css";
import "./chart.css";

import { ActionIcon, Box, Group, Text, Tooltip, useComputedColorScheme } from "@mantine/core";
import { Download, Image, ZoomOut, type LucideIcon } from "lucide-react";
import { useMemo, useState } from "react";

import { number } from "../format";
import { SERIES_COLORS } from "../theme";
import { saveImage } from "./image";
import { Legend, type Entry } from "./Legend";
import { colorOf, dashOf, type Drawing, type Look } from "./options";
import { csvOf, described, saveAs, type Curve } from "./series";
import { useUplot } from "./useUplot";

export interface ChartProps extends Drawing {
  title: string;
}

const LOOKS: Record<"light" | "dark", Look> = {
  light: {
    ink: { text: "#55606b", grid: "#e6eaed", mark: "#8a949e", ground: "#ffffff" },
    colors: SERIES_COLORS.light,
  },
  dark: {
    ink: { text: "#a3adb6", grid: "#2b3237", mark: "#77828c", ground: "#1b2024" },
    colors: SERIES_COLORS.dark,
  },
};

export function Chart(props: ChartProps) {
  const { title, curves, xLabel, height = 240, formatX = number, formatY = number } = props;
  const look = LOOKS[useComputedColorScheme("light")];
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const { place, plot, data, zoomed, pointed } = useUplot(props, look, height, hidden);
  const summary = useMemo(() => described(title, xLabel, curves, formatY), [title, xLabel, curves, formatY]);
  const legend = useMemo(() => legendOf(curves, look), [curves, look]);
  function flip(label: string) {
    setHidden((before) => {
      const after = new Set(before);
      if (!after.delete(label)) after.add(label);
      return after;
    });
  }
  return (
    <Box component="figure" m={0} className="chart">
      <Group justify="space-between" wrap="nowrap" mb={4} gap="xs" align="flex-start">
        <Text component="figcaption" fw={600} size="sm" className="break">
          {title}
        </Text>
        <Group gap={2} wrap="nowrap">
          {zoomed && (
            <Tool
              icon={ZoomOut}
              label="Reset zoom"
              name={`Reset zoom of ${title}`}
              act={() => plot.current?.setData(plot.current.data, true)}
            />
          )}
          <Tool
            icon={Download}
            label="Save as CSV"
            name={`Save ${title} as CSV`}
            act={() => saveAs(`${title}.csv`, csvOf(xLabel, curves))}
          />
          <Tool
            icon={Image}
            label="Save as image"
            name={`Save ${title} as image`}
            act={() => plot.current && saveImage(plot.current, title, legend, look.ink)}
          />
        </Group>
      </Group>
      <div ref={place} style={{ height }} role="img" aria-label={summary} />
      <Legend
        entries={legend}
        data={data}
        xLabel={xLabel}
        formatX={formatX}
        formatY={formatY}
        hidden={hidden}
        flip={flip}
        pointed={pointed}
      />
    </Box>
  );
}

function Tool({ icon: Icon, label, name, act }: { icon: LucideIcon; label: string; name: string; act: () => void }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size="sm" aria-label={name} onClick={act}>
        <Icon size={15} aria-hidden />
      </ActionIcon>
    </Tooltip>
  );
}

function legendOf(curves: readonly Curve[], look: Look): Entry[] {
  return curves
    .map((curve, index) => ({
      label: curve.label,
      color: colorOf(curve, index, look),
      dashed: dashOf(curve, index, look) !== undefined,
      points: curve.points === true,
      column: index + 1,
      faint: curve.faint,
    }))
    .filter((entry) => !entry.faint);
}
