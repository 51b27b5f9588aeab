/** The predicted memory of a run, and whether it fits into the lab's GPUs. */

import { Button, Card, Group, Skeleton, Stack, Text, Title } from "@mantine/core";

import type { EstimateRead, GpuVerdict, Parts as PartsOfPeak } from "../../api/schema";
import { Edits, type Change } from "../../components/Edits";
import { fitLook, State } from "../../components/State";
import { bytes, integer, sentence } from "../../format";
import { bestOf } from "./verdict";

interface EstimateProps {
  estimate: EstimateRead | undefined;
  /** Whether it belongs to an earlier state of the form. */
  stale: boolean;
  error: Error | null;
  /** Null where the fields are none of an experiment: no change of them is proposed. */
  apply: ((change: Change) => void) | null;
}

const PARTS: Partial<Record<keyof PartsOfPeak, string>> = {
  parameters_bytes: "Parameters",
  gradients_bytes: "Gradients",
  optimizer_state_bytes: "Optimizer state",
  activations_bytes: "Activations",
  batch_bytes: "Images and labels",
  temporary_bytes: "Temporary",
  workspace_bytes: "Workspace",
  buffers_bytes: "Buffers",
  rounding_bytes: "Rounding",
  fragmentation_bytes: "Fragmentation",
};

export function Estimate({ estimate, stale, error, apply }: EstimateProps) {
  return (
    <Card component="section" aria-labelledby="memory">
      <Title order={2} size="h4" id="memory" mb="xs">
        GPU memory
      </Title>
      <div aria-live="polite">
        {error !== null ? (
          <Text size="sm" c="dimmed">
            {error.message}
          </Text>
        ) : estimate === undefined || (estimate.state === "pending" && estimate.gpus.length === 0) ? (
          <Stack gap={6}>
            <Text size="sm" c="dimmed">
              Predicting the peak…
            </Text>
            <Skeleton height={10} />
          </Stack>
        ) : estimate.peak_device_bytes === null && estimate.state !== "pending" ? (
          <Text size="sm" c="dimmed">
            {sentence(estimate.reason ?? "this experiment has no memory prediction")}
          </Text>
        ) : (
          <>
            {stale && (
              <Text size="sm" c="dimmed" mb={4}>
                Updating the estimate…
              </Text>
            )}
            <Predicted estimate={estimate} apply={apply} />
          </>
        )}
      </div>
    </Card>
  );
}

interface PredictedProps {
  estimate: EstimateRead;
  apply: EstimateProps["apply"];
}

function Predicted({ estimate, apply }: PredictedProps) {
  const open = estimate.gpus_pending ?? [];
  // The GPU that the verdict is about; without one, the prediction for any GPU.
  const { peak_device_bytes: peak, peak_phase: phase, parts } = predictedOn(estimate);
  return (
    <Stack gap="sm">
      {peak !== null && (
        <div>
          <Text fz="1.5rem" fw={650} lh={1.2} className="numbers">
            {bytes(peak.likely_bytes)}
          </Text>
          <Text size="xs" c="dimmed" className="numbers">
            likely peak on the device; {bytes(peak.low_bytes)} to {bytes(peak.high_bytes)}
            {phase !== null && `, reached in ${phaseText(phase)}`}
          </Text>
        </div>
      )}
      {estimate.gpus.length === 0 && (
        <Text size="sm" c="dimmed">
          The lab has no GPU. On the CPU, the run needs main memory instead.
        </Text>
      )}
      {estimate.gpus.map((gpu) => (
        <Gpu
          key={`${gpu.name} ${gpu.total_bytes} ${gpu.constants.measured?.driver_version ?? ""} ${gpu.constants.source}`}
          gpu={gpu}
          apply={apply}
        />
      ))}
      {open.length > 0 && (
        <Text size="sm" c="dimmed">
          Still measuring: {open.join(", ")}.
        </Text>
      )}
      {estimate.state === "failed" && (
        <Text size="sm" c="dimmed">
          {sentence(estimate.reason ?? "the other GPUs were not measured")}
        </Text>
      )}
      {parts !== null && <Parts parts={parts} />}
      {estimate.claimed_by_program && (
        <Text size="xs" c="dimmed">
          {["The program measured its first two steps in the sandbox. What comes later is not counted."]
            .concat((estimate.assumptions ?? []).map((assumption) => `Assumed: ${assumption}.`))
            .join(" ")}
        </Text>
      )}
    </Stack>
  );
}

function predictedOn(estimate: EstimateRead): Pick<EstimateRead, "peak_device_bytes" | "peak_phase" | "parts"> {
  const gpu = bestOf(estimate.gpus);
  return gpu === undefined || gpu.peak_device_bytes === null ? estimate : gpu;
}

const PHASES: Record<string, string> = {
  zero_grad: "zeroing the gradients",
  forward: "the forward pass",
  backward: "the backward pass",
  step: "the optimizer update",
};

/** `second_backward` as words. */
function phaseText(name: string): string {
  const plain = name.replace(/^second_/, "");
  const part = PHASES[plain];
  return part === undefined ? plain : `${part} of the ${plain === name ? "first" : "second"} step`;
}

function Gpu({ gpu, apply }: { gpu: GpuVerdict; apply: EstimateProps["apply"] }) {
  const look = fitLook(gpu.verdict);
  const isGuess = !gpu.certain && gpu.verdict !== "not_predicted";
  return (
    <div>
      <Group justify="space-between" gap="xs">
        <Text size="sm" fw={600}>
          {gpu.name}{" "}
          <Text span size="xs" c="dimmed" className="numbers">
            {bytes(gpu.total_bytes)}
          </Text>
        </Text>
        <State look={look} text={isGuess ? `Likely ${look.word.toLowerCase()}` : look.word} />
      </Group>
      {gpu.max_batch_size !== null && (
        <Text size="xs" c="dimmed" className="numbers">
          Fits up to batch {integer(gpu.max_batch_size)}
          {gpu.max_batch_size_without_retries !== gpu.max_batch_size &&
            `, at full speed up to ${integer(gpu.max_batch_size_without_retries ?? 0)}`}
        </Text>
      )}
      <Text size="xs" c="dimmed" className="numbers">
        {gpu.peak_device_bytes === null
          ? sentence(gpu.reason ?? "nothing is predicted for this GPU")
          : `${bytes(gpu.peak_device_bytes.likely_bytes)} on an emulated ${gpu.card}, with a CUDA context of ${contextOf(gpu)}`}
      </Text>
      {apply !== null && gpu.edits.length > 0 && (
        <Stack gap={6} mt={6}>
          <Text size="sm" fw={600}>
            {gpu.edits.some((edit) => edit.fits) ? "What would fit" : "Closest to fitting"}
          </Text>
          <Edits
            edits={gpu.edits}
            button={(change, label) => (
              <Button size="xs" variant="light" onClick={() => apply(change)}>
                {label}
              </Button>
            )}
          />
        </Stack>
      )}
    </div>
  );
}

function contextOf({ constants }: GpuVerdict): string {
  const source = constants.source === "measured" ? "measured on a node" : "documented default";
  return `${bytes(constants.cuda_context.likely_bytes)} (${source})`;
}

function Parts({ parts }: { parts: PartsOfPeak }) {
  const rows = Object.entries(PARTS)
    .map(([name, label]): [string, number] => [label, parts[name as keyof PartsOfPeak] as number])
    .concat([["CUDA context", parts.cuda_context.likely_bytes]])
    .filter(([, size]) => size > 0)
    .sort((a, b) => b[1] - a[1]);
  const largest = rows[0]?.[1] ?? 1;
  return (
    <dl className="parts numbers" aria-label="Parts of the peak">
      {rows.map(([label, size]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>
            <span style={{ width: `${(70 * size) / largest}%` }} aria-hidden />
            {bytes(size)}
          </dd>
        </div>
      ))}
    </dl>
  );
}
