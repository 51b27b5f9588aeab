import "./locale";
import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./main.css";

import { localStorageColorSchemeManager, MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { hashKey, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { base } from "./api/base";
import { markedJson } from "./api/exact";
import { Refused } from "./api/client";
import { onSignedOut } from "./api/session";
import { bearTranslators } from "./browser/translators";
import { createTheRouter } from "./router";
import { theme, variables } from "./theme";

/** Two labs on one host, each below its own path, share the browser's storage. */
const colorScheme = localStorageColorSchemeManager({ key: `gpulab${base}:color-scheme` });

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2000,
      queryKeyHashFn: (key) => hashKey(JSON.parse(markedJson(key)) as readonly unknown[]),
      // An error response is final. Without an answer, retry with growing delays; the page keeps its data meanwhile.
      retry: (failures, error) => !(error instanceof Refused && error.problem.status < 500) && failures < 3,
      retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 5000),
      // The lab is on this network: it does not matter whether the browser sees the internet.
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});
const router = createTheRouter(queries);

onSignedOut(() => {
  queries.clear();
  void router.invalidate();
});

bearTranslators();
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      cssVariablesResolver={variables}
      defaultColorScheme="auto"
      colorSchemeManager={colorScheme}
    >
      <QueryClientProvider client={queries}>
        <Notifications position="bottom-right" />
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
