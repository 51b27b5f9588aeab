/** What a job was predicted to take, in the few words that fit beside its other facts. */

import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import type { JobEstimateRead } from "../../api/schema";
import { estimateWith } from "../../api/submitting";
import { fitLook } from "../../components/State";
import { bytes, sentence } from "../../format";
import { bestOf } from "./verdict";

export function Predicted({ estimate }: { estimate: JobEstimateRead }) {
  const { data: found } = useQuery(estimateWith(estimate.id));
  const peak = found?.peak_device_bytes ?? estimate.peak_device_bytes;
  if (peak === null) {
    if ((found?.state ?? estimate.state) === "pending") return "predicting…";
    return (
      <>
        not predicted
        {found?.reason && (
          <Text size="xs" c="dimmed" className="break">
            {sentence(found.reason)}
          </Text>
        )}
      </>
    );
  }
  const gpu = bestOf(found?.gpus.filter((one) => one.in_lab) ?? []);
  if (gpu === undefined || gpu.peak_device_bytes === null) return bytes(peak.likely_bytes);
  const word = fitLook(gpu.verdict).word.toLowerCase();
  return (
    <>
      {bytes(gpu.peak_device_bytes.likely_bytes)}, {gpu.certain ? word : `likely ${word}`}
      <Text size="xs" c="dimmed">
        {gpu.name}
      </Text>
    </>
  );
}
