/** Changes what a run is called, its tags or its note, and closes the dialog that asked. */

import { api, data } from "../../api/client";
import type { JobUpdate } from "../../api/schema";
import { useAction } from "../../components/useAction";

export function useChangeJob(id: string, change: () => JobUpdate, close: () => void) {
  return useAction(
    () => data(api.PATCH("/v1/jobs/{job_id}", { params: { path: { job_id: id } }, body: change() })),
    () => {
      close();
      return null;
    },
    true,
  );
}
