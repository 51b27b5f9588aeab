/** The memory that a program is predicted to take, before it runs. */

import { useQuery } from "@tanstack/react-query";

import { estimateOf, type Checked, type Order } from "../../api/submitting";
import { Estimate } from "../submit/Estimate";
import { CORRECT_FIRST } from "../submit/verdict";

interface ProgramMemoryProps {
  /** The form, once the user paused. */
  order: Order;
  /** What the lab says of it; undefined until it answers. */
  checked: Checked | undefined;
}

export function ProgramMemory({ order, checked }: ProgramMemoryProps) {
  const valid = checked?.errors.length === 0;
  // An earlier run of the program decides what is reserved: then nothing is left to predict.
  const known = checked?.estimate?.state === "not_predicted" ? checked.estimate : undefined;
  const wanted = valid && known === undefined && order.gpus !== 0;
  const asked = useQuery({ ...estimateOf(order.experiment, order.spec ?? {}), enabled: wanted });
  if (order.gpus === 0) return null;
  return (
    <Estimate
      estimate={known ?? asked.data}
      stale={known === undefined && asked.isPlaceholderData}
      error={valid ? (known === undefined ? asked.error : null) : checked === undefined ? null : CORRECT_FIRST}
      apply={null}
    />
  );
}
