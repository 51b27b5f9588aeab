/** An action at the lab, with a notice of its outcome. */

import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";

type Notice = string | null;

/** `inPlace`: the caller shows an error next to its form, instead of a passing notice. */
export function useAction<In, Out>(
  act: (given: In) => Promise<Out>,
  done: (result: Out) => Notice | Promise<Notice>,
  inPlace = false,
) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: act,
    onSuccess: async (result) => {
      const message = await done(result);
      if (message !== null) notifications.show({ message, color: "teal" });
      await client.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "artifact" });
    },
    onError: (error) => {
      if (!inPlace)
        notifications.show({ title: "Something went wrong", message: error.message, color: "red", autoClose: 10_000 });
    },
  });
}
