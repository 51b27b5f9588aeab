/** Selects runs by the values of one axis, with the keyboard as well as with the pointer. */

import { Button, Checkbox, Group, NumberInput, Popover, Stack } from "@mantine/core";
import { Filter } from "lucide-react";

import { textOn, type Axis, type Kept } from "./axes";

interface FilterAxisProps {
  axis: Axis;
  kept: Kept | null;
  keep: (kept: Kept | null) => void;
}

export function FilterAxis({ axis, kept, keep }: FilterAxisProps) {
  return (
    <Popover position="bottom-start" withArrow trapFocus>
      <Popover.Target>
        <Button
          size="compact-xs"
          variant={kept === null ? "default" : "light"}
          leftSection={<Filter size={12} aria-hidden />}
          aria-label={`Filter ${axis.label}`}
        >
          {axis.label}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap="xs">
          {axis.levels === null ? (
            <RangeInputs axis={axis} kept={kept} keep={keep} />
          ) : (
            <Levels axis={axis} levels={axis.levels} kept={kept} keep={keep} />
          )}
          <Button size="xs" variant="default" disabled={kept === null} onClick={() => keep(null)}>
            Show all
          </Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}

function Levels({ axis, levels, kept, keep }: FilterAxisProps & { levels: readonly unknown[] }) {
  const all = levels.map((_, i) => i);
  const shown = kept !== null && "levels" in kept ? kept.levels : all;
  return (
    <Stack gap={6} mah="40vh" style={{ overflowY: "auto" }}>
      {all.map((level) => (
        <Checkbox
          key={level}
          size="sm"
          label={textOn(axis, level)}
          checked={shown.includes(level)}
          onChange={(event) => {
            const chosen = event.currentTarget.checked ? [...shown, level] : shown.filter((one) => one !== level);
            keep(chosen.length === all.length ? null : { levels: chosen });
          }}
        />
      ))}
    </Stack>
  );
}

function RangeInputs({ axis, kept, keep }: FilterAxisProps) {
  const range = kept !== null && "low" in kept ? kept : axis;
  const set = (name: "low" | "high") => (entry: number | string) =>
    typeof entry === "number" && keep({ low: range.low, high: range.high, [name]: entry });
  return (
    <Group gap="xs" wrap="nowrap" align="flex-end">
      <NumberInput label="From" size="sm" w="8rem" hideControls value={range.low} onChange={set("low")} />
      <NumberInput label="To" size="sm" w="8rem" hideControls value={range.high} onChange={set("high")} />
    </Group>
  );
}
