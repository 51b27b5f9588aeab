/** The memory that a run is predicted to need, and whether that fits into the lab's GPUs: as one types. */

import { Alert, Badge, Button, Card, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import { CircleCheck, CircleX, Scissors, type LucideIcon } from "lucide-react";

import type { EstimateRead, GpuVerdict, PartsRead } from "../../api/schema";
import { bytes, integer, sentence, value, words } from "../../format";

interface EstimateProps {
  estimate: EstimateRead | undefined;
  /** Whether it is of what stood in the form before. */
  stale: boolean;
  error: Error | null;
  apply: (change: Record<string, unknown>) => void;
}

const PARTS: Partial<Record<keyof PartsRead, string>> = {
  parameters_bytes: "Parameters",
  gradients_bytes: "Gradients",
  optimizer_state_bytes: "Optimizer state",
  activations_bytes: "Activations",
  batch_bytes: "Pictures and labels",
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
        ) : estimate === undefined || estimate.state === "pending" ? (
          <Stack gap={6}>
            <Text size="sm" c="dimmed">
              Predicting the peak…
            </Text>
            <Skeleton height={10} />
          </Stack>
        ) : estimate.peak_device_bytes === null ? (
          <Text size="sm" c="dimmed">
            {sentence(estimate.reason ?? "nothing is predicted for this experiment")}
          </Text>
        ) : (
          <>
            {stale && (
              <Text size="sm" c="dimmed" mb={4}>
                Predicting anew; below is what stood here before.
              </Text>
            )}
            <Predicted estimate={estimate} peak={estimate.peak_device_bytes} apply={apply} />
          </>
        )}
      </div>
    </Card>
  );
}

function Predicted({
  estimate,
  peak,
  apply,
}: {
  estimate: EstimateRead;
  peak: { low_bytes: number; likely_bytes: number; high_bytes: number };
  apply: EstimateProps["apply"];
}) {
  return (
    <Stack gap="sm">
      <div>
        <Text fz="1.5rem" fw={650} lh={1.2} className="numbers">
          {bytes(peak.likely_bytes)}
        </Text>
        <Text size="xs" c="dimmed" className="numbers">
          likely peak on the device; {bytes(peak.low_bytes)} to {bytes(peak.high_bytes)}
          {estimate.peak_phase !== null && `, reached in ${phase(estimate.peak_phase)}`}
        </Text>
      </div>
      {estimate.gpus.length === 0 && (
        <Text size="sm" c="dimmed">
          The lab has no GPU to compare with. On the CPU the run needs main memory instead.
        </Text>
      )}
      {estimate.gpus.map((gpu) => (
        <Verdict
          key={`${gpu.name} ${gpu.total_bytes} ${gpu.constants?.driver_version ?? ""} ${gpu.constants?.source ?? ""}`}
          gpu={gpu}
          apply={apply}
        />
      ))}
      {estimate.parts !== null && <Parts parts={estimate.parts} />}
    </Stack>
  );
}

const PHASES: Record<string, string> = {
  zero_grad: "the clearing of the gradients",
  forward: "the forward pass",
  backward: "the backward pass",
  step: "the optimizer\u2019s update",
};

/** `second_backward` for people. */
function phase(name: string): string {
  const plain = name.replace(/^second_/, "");
  const part = PHASES[plain];
  return part === undefined ? plain : `${part} of the ${plain === name ? "first" : "second"} step`;
}

const VERDICTS: Record<string, { color: string; icon: LucideIcon; words: (gpu: GpuVerdict) => string }> = {
  fits: { color: "teal", icon: CircleCheck, words: () => "Fits" },
  fits_up_to: { color: "orange", icon: Scissors, words: (gpu) => `Fits up to batch ${gpu.max_batch_size ?? "?"}` },
  cannot_fit: { color: "red", icon: CircleX, words: () => "Cannot fit" },
};

function Verdict({ gpu, apply }: { gpu: GpuVerdict; apply: EstimateProps["apply"] }) {
  const look = VERDICTS[gpu.verdict] ?? VERDICTS["cannot_fit"]!;
  return (
    <div>
      <Group justify="space-between" gap="xs">
        <Text size="sm" fw={600}>
          {gpu.name}{" "}
          <Text span size="xs" c="dimmed" className="numbers">
            {bytes(gpu.total_bytes)}
          </Text>
        </Text>
        <Badge
          color={look.color}
          variant="light"
          tt="none"
          className={`state state-${look.color}`}
          leftSection={<look.icon size={13} aria-hidden />}
        >
          {gpu.certain ? look.words(gpu) : `Likely ${look.words(gpu).toLowerCase()}`}
        </Badge>
      </Group>
      {gpu.verdict === "fits" && gpu.max_batch_size !== null && (
        <Text size="xs" c="dimmed" className="numbers">
          up to batch {integer(gpu.max_batch_size)}
        </Text>
      )}
      {gpu.constants && (
        <Text size="xs" c="dimmed" className="numbers">
          CUDA context {bytes(gpu.constants.cuda_context.likely_bytes)},{" "}
          {gpu.constants.source === "measured" ? "as a node measured it" : "a documented default"}
        </Text>
      )}
      {gpu.edits.length > 0 && (
        <Alert
          variant="light"
          color="gray"
          mt={6}
          p="xs"
          title={gpu.edits.some((edit) => edit.fits) ? "What would fit" : "What comes nearest"}
        >
          <Stack gap={6} align="flex-start">
            {gpu.edits.map((edit, i) => (
              <div key={i}>
                <Button size="compact-xs" variant="default" onClick={() => apply(edit.change)}>
                  {Object.entries(edit.change)
                    .map(([name, entry]) => `${words(name).toLowerCase()} ${value(entry)}`)
                    .join(", ")}
                </Button>{" "}
                <Text span size="xs" c="dimmed" className="numbers">
                  {bytes(edit.peak_device_bytes.likely_bytes)}. {edit.reason}
                </Text>
              </div>
            ))}
          </Stack>
        </Alert>
      )}
    </div>
  );
}

function Parts({ parts }: { parts: PartsRead }) {
  const rows = Object.entries(PARTS)
    .map(([name, label]): [string, number] => [label, parts[name as keyof PartsRead] as number])
    .concat([
      ["Convolutions' scratch", parts.convolution_workspace.likely_bytes],
      ["CUDA context", parts.cuda_context.likely_bytes],
    ])
    .filter(([, size]) => size > 0)
    .sort((a, b) => b[1] - a[1]);
  const most = rows[0]?.[1] ?? 1;
  return (
    <dl className="parts numbers" aria-label="What the peak is made of">
      {rows.map(([label, size]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>
            <span style={{ width: `${(70 * size) / most}%` }} aria-hidden />
            {bytes(size)}
          </dd>
        </div>
      ))}
    </dl>
  );
}
