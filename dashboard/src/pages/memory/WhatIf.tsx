/** What may be tried: a batch, a precision, an optimizer, checkpointing, another card. */

import { NumberInput, Select, Slider, Switch, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import * as queries from "../../api/queries";
import type { Change } from "../../components/Edits";
import { bytes, integer, words } from "../../format";
import type { Tryable } from "./fields";

interface WhatIfProps {
  tryable: Tryable;
  value: (name: string) => unknown;
  change: (part: Change) => void;
  stops: readonly number[];
  /** Null for the lab's own GPU that suits best. */
  card: string | null;
  choose: (card: string | null) => void;
  /** The lab's own GPU models. */
  own: readonly string[];
}

export function WhatIf({ tryable, value, change, stops, card, choose, own }: WhatIfProps) {
  const batch = value("batch_size");
  return (
    <div className="what-if" role="group" aria-label="What if">
      {tryable.batch !== null && typeof batch === "number" && (
        <Batch range={tryable.batch} stops={stops} batch={batch} change={(size) => change({ batch_size: size })} />
      )}
      {tryable.choices.map(({ name, options }) => (
        <Select
          key={name}
          size="sm"
          label={words(name)}
          data={options}
          value={String(value(name))}
          allowDeselect={false}
          onChange={(chosen) => change({ [name]: chosen })}
        />
      ))}
      <Cards card={card} choose={choose} own={own} />
      {tryable.checkpointing && (
        <Switch
          label="Checkpointing"
          mb={8}
          checked={value("checkpointing") === true}
          onChange={(event) => change({ checkpointing: event.currentTarget.checked })}
        />
      )}
    </div>
  );
}

interface BatchProps {
  range: { min: number; max: number };
  stops: readonly number[];
  batch: number;
  change: (size: number) => void;
}

function Batch({ range, stops, batch, change }: BatchProps) {
  const at = Math.max(0, stops.indexOf(batch));
  return (
    <div className="batch">
      <Text size="sm" fw={600}>
        Images per batch
      </Text>
      <Slider
        min={0}
        max={Math.max(1, stops.length - 1)}
        value={at}
        onChange={(place) => change(stops[place] ?? batch)}
        label={(place) => integer(stops[place] ?? batch)}
        thumbLabel="Images per batch"
        thumbValueText={(place) => integer(stops[place] ?? batch)}
        marks={stops.map((_, place) => ({ value: place }))}
      />
      <NumberInput
        size="sm"
        aria-label="Exact images per batch"
        value={batch}
        min={range.min}
        max={range.max}
        allowDecimal={false}
        clampBehavior="strict"
        onChange={(size) => typeof size === "number" && size >= range.min && change(size)}
      />
    </div>
  );
}

function Cards({ card, choose, own }: Pick<WhatIfProps, "card" | "choose" | "own">) {
  const { data } = useQuery(queries.gpuModels);
  const others = (data?.items ?? []).filter(({ name }) => !own.includes(name));
  const groups = [
    { group: "This lab", items: own.map((name) => ({ value: name, label: name })) },
    {
      group: "Other cards",
      items: others.map(({ name, total_bytes }) => ({ value: name, label: `${name}, ${bytes(total_bytes)}` })),
    },
  ];
  return (
    <Select
      size="sm"
      label="Card"
      data={groups.filter(({ items }) => items.length > 0)}
      value={card}
      onChange={choose}
      placeholder="Any"
      clearable={own.length === 0}
      allowDeselect={own.length === 0}
      searchable
      comboboxProps={{ withinPortal: true }}
    />
  );
}
