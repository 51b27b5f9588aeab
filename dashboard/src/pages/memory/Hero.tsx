/** Where the memory of a run goes, and what would change it: each answer is a separate prediction. */

import "./memory.css";

import { Button, Card, Group, SegmentedControl, Skeleton, Text, Title } from "@mantine/core";
import { RotateCcw } from "lucide-react";
import { useState, type KeyboardEvent, type ReactNode } from "react";

import { useAnswer } from "../../api/memory";
import type { EstimateRead, ExperimentDetail, GpuVerdict } from "../../api/schema";
import { changeText, type Change } from "../../components/Edits";
import { Failure } from "../../components/Feedback";
import { fitLook, State } from "../../components/State";
import { bytes, integer, sentence } from "../../format";
import { filled } from "../submit/schema";
import { bestOf } from "../submit/verdict";
import { CardBar, Causes } from "./CardBar";
import { changeOf, tryableOf, valueOf } from "./fields";
import { Flame } from "./Flame";
import { ModuleTable } from "./ModuleTable";
import { neighboursOf, stopsOf } from "./stops";
import { treeOf, type Block } from "./tree";
import { WhatIf } from "./WhatIf";

interface HeroProps {
  experiment: ExperimentDetail;
  /** The spec to start from. */
  spec: Record<string, unknown>;
  /** Whether the lab accepts it; nothing is asked of one that it refuses. */
  valid?: boolean;
  /** What takes over what was tried; null where nothing can. */
  use: ((change: Change, clear: () => void) => ReactNode) | null;
}

export function Hero({ experiment, spec, valid = true, use }: HeroProps) {
  const schema = experiment.spec_schema;
  const [tried, setTried] = useState<Change>({});
  const [card, setCard] = useState<string | null>(null);
  const change = changeOf(schema, spec, tried);
  const touched = Object.keys(tried).length > 0;
  const gpus = card === null ? [] : [card];
  const ask = (more: Change) => ({ experiment: experiment.slug, spec: filled({ ...spec, ...change, ...more }), gpus });
  const value = (name: string) => valueOf(schema, { ...spec, ...change }, name);
  const tryable = tryableOf(schema);
  const [largest, setLargest] = useState<number | null>(null);
  const batch = typeof value("batch_size") === "number" ? (value("batch_size") as number) : null;
  const before = valueOf(schema, spec, "batch_size");
  const stops =
    tryable.batch === null
      ? []
      : stopsOf(tryable.batch, [batch, typeof before === "number" ? before : null, largest], largest);
  const ahead = touched && batch !== null ? neighboursOf(stops, batch).map((size) => ask({ batch_size: size })) : [];
  const answer = useAnswer(ask({}), ahead, valid);
  const gpu = chosen(answer.estimate, card);
  // The slider's end and its stop for the largest batch move only with an answer to what it shows.
  if (!answer.stale && gpu !== undefined && gpu.max_batch_size !== largest) setLargest(gpu.max_batch_size);
  const clear = () => {
    setTried({});
    setCard(null);
  };
  if (answer.estimate?.state === "not_predicted" || (answer.estimate === undefined && !valid)) return null;
  return (
    <Card component="section" aria-labelledby="hero" className="hero" onKeyDown={keepForm}>
      <Title order={2} size="h4" id="hero">
        Where the memory goes
      </Title>
      {answer.error === null ? (
        <Shown estimate={answer.estimate} gpu={gpu} stale={answer.stale} valid={valid} />
      ) : (
        <Failure error={answer.error} again={answer.again} />
      )}
      <WhatIf
        tryable={tryable}
        value={value}
        change={(part) => setTried({ ...tried, ...part })}
        stops={stops}
        card={card ?? gpu?.name ?? null}
        choose={setCard}
        own={ownOf(answer.estimate)}
      />
      {(touched || card !== null) && (
        <Group gap="xs">
          {Object.keys(change).length > 0 && use?.(change, clear)}
          <Button variant="default" size="compact-md" leftSection={<RotateCcw size={14} aria-hidden />} onClick={clear}>
            Reset
          </Button>
          {Object.keys(change).length > 0 && (
            <Text size="sm" c="dimmed" className="break">
              {changeText(change)}
            </Text>
          )}
        </Group>
      )}
    </Card>
  );
}

/** Enter in a field of the what-if sends no form around it: its values are other ones. */
function keepForm(event: KeyboardEvent) {
  if (event.key === "Enter" && event.target instanceof HTMLInputElement) event.preventDefault();
}

function chosen(estimate: EstimateRead | undefined, card: string | null): GpuVerdict | undefined {
  const gpus = estimate?.gpus ?? [];
  if (card !== null) return gpus.find((gpu) => gpu.name === card || gpu.model === card);
  return bestOf(gpus.filter((gpu) => gpu.in_lab));
}

function ownOf(estimate: EstimateRead | undefined): string[] {
  return [...new Set((estimate?.gpus ?? []).filter((gpu) => gpu.in_lab).map((gpu) => gpu.name))];
}

const NEXT = "The last answer. The next one is being predicted…";
const WAITS_FOR_FORM = "The last answer. Correct the form to see the next one.";

interface ShownProps {
  estimate: EstimateRead | undefined;
  gpu: GpuVerdict | undefined;
  stale: boolean;
  valid: boolean;
}

function Shown({ estimate, gpu, stale, valid }: ShownProps) {
  const peak = gpu?.peak_device_bytes ? gpu : estimate;
  const likely = peak?.peak_device_bytes?.likely_bytes ?? null;
  const top = peak === undefined ? null : treeOf(peak);
  if (estimate === undefined || (likely === null && estimate.state === "pending")) return <Skeleton height={180} />;
  if (likely === null || top === null) {
    const reason = gpu?.reason ?? estimate.reason ?? estimate.reasons?.["modules"];
    return (
      <Text size="sm" c="dimmed">
        {sentence(reason ?? "nothing is predicted for this card")}
      </Text>
    );
  }
  return (
    <div className={stale ? "answer old" : "answer"} aria-busy={stale}>
      <Group justify="space-between" gap="xs" align="flex-end">
        <div>
          <Text fz="1.75rem" fw={650} lh={1.1} className="numbers">
            {bytes(likely)}
          </Text>
          <Text size="xs" c="dimmed" role="status">
            {stale ? (valid ? NEXT : WAITS_FOR_FORM) : subjectOf(estimate, gpu)}
          </Text>
        </div>
        {gpu !== undefined && <Fit gpu={gpu} />}
      </Group>
      {gpu !== undefined && <CardBar name={gpu.name} total={gpu.total_bytes} sizes={top.sizes} peak={likely} />}
      <Causes sizes={top.sizes} peak={top.total} />
      <Modules top={top} />
    </div>
  );
}

function subjectOf(estimate: EstimateRead, gpu: GpuVerdict | undefined): string {
  const batch: unknown = estimate.workload?.["batch_size"];
  const size = typeof batch === "number" ? ` at batch ${integer(batch)}` : "";
  return `Likely peak${size}${gpu === undefined ? " on a typical card" : ""}`;
}

function Fit({ gpu }: { gpu: GpuVerdict }) {
  const look = fitLook(gpu.verdict);
  return (
    <Group gap={8}>
      {gpu.max_batch_size !== null && (
        <Text size="xs" c="dimmed" className="numbers">
          Largest batch that fits: {integer(gpu.max_batch_size)}
        </Text>
      )}
      <State look={look} text={gpu.certain ? look.word : `Likely ${look.word.toLowerCase()}`} />
    </Group>
  );
}

function Modules({ top }: { top: Block }) {
  const [view, setView] = useState("flame");
  return (
    <div>
      <SegmentedControl
        size="xs"
        mb={6}
        aria-label="Show as"
        data={[
          { value: "flame", label: "Flame" },
          { value: "table", label: "Table" },
        ]}
        value={view}
        onChange={setView}
      />
      {view === "flame" ? <Flame top={top} /> : <ModuleTable top={top} />}
    </div>
  );
}
