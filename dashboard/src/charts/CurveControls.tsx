/** How curves are drawn; remembered in the browser. */

import { Group, SegmentedControl, Slider, Switch, Text } from "@mantine/core";
import { useLocalStorage } from "@mantine/hooks";

export interface CurveSettings {
  axis: "step" | "time";
  log: boolean;
  /** Weight of the past in each point, 0 to 0.99. */
  smoothing: number;
}

const PLAIN: CurveSettings = { axis: "step", log: false, smoothing: 0 };

export function useCurveSettings(): [CurveSettings, (change: Partial<CurveSettings>) => void] {
  const [settings, set] = useLocalStorage({
    key: "gpulab.curves",
    defaultValue: PLAIN,
    getInitialValueInEffect: false,
  });
  return [{ ...PLAIN, ...settings }, (change) => set((before) => ({ ...PLAIN, ...before, ...change }))];
}

export function CurveControls({
  settings,
  change,
}: {
  settings: CurveSettings;
  change: (change: Partial<CurveSettings>) => void;
}) {
  return (
    <Group gap="lg" role="group" aria-label="Chart settings">
      <SegmentedControl
        size="xs"
        aria-label="Horizontal axis"
        value={settings.axis}
        onChange={(axis) => change({ axis })}
        data={[
          { value: "step", label: "Step" },
          { value: "time", label: "Time" },
        ]}
      />
      <Switch
        size="sm"
        label="Log scale"
        checked={settings.log}
        onChange={(event) => change({ log: event.currentTarget.checked })}
      />
      <Group gap="xs" wrap="nowrap">
        <Text size="sm">Smoothing</Text>
        <Slider
          w={140}
          size="sm"
          min={0}
          max={0.99}
          step={0.01}
          label={(weight) => weight.toFixed(2)}
          value={settings.smoothing}
          onChange={(smoothing) => change({ smoothing })}
          thumbLabel="Smoothing"
        />
        <Text size="sm" c="dimmed" className="numbers" w="2.2em">
          {settings.smoothing.toFixed(2)}
        </Text>
      </Group>
      <Text size="xs" c="dimmed" visibleFrom="md">
        Drag to zoom, double-click to reset.
      </Text>
    </Group>
  );
}
