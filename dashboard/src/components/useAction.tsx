/** Doing something at the lab, with a word about how it went. */

import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";

type Word = string | null;

/** `inPlace`: what went wrong is shown where it was asked for, and not as a passing notice. */
export function useAction<In, Out>(
  act: (given: In) => Promise<Out>,
  done: (result: Out) => Word | Promise<Word>,
  inPlace = false,
) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: act,
    onSuccess: async (result) => {
      const said = await done(result);
      if (said !== null) notifications.show({ message: said, color: "teal" });
      await client.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "artifact" });
    },
    onError: (error) => {
      if (!inPlace)
        notifications.show({ title: "This did not work", message: error.message, color: "red", autoClose: 10_000 });
    },
  });
}
