// Runs modules of the dashboard for tests. Each line of the input asks for one call, each line of the output answers it.
//
// A module is bundled once. Every call has a thread of its own, in which the module, its globals and its browser are new.
import { createInterface } from "node:readline";
import { Worker } from "node:worker_threads";
import { build } from "vite";

const THREAD = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { bundle, body, given, browser } = workerData;
  const [language, languages] = browser;
  // Node has one of its own, from the environment.
  Object.defineProperty(globalThis, "navigator", {
    value: { language: language ?? undefined, languages: languages ?? undefined }, configurable: true,
  });
  (async () => {
    const module = await import(bundle);
    const answer = await new Function("module", "given", "return (async () => { " + body + " })()")(module, given);
    parentPort.postMessage(JSON.stringify(answer) ?? "null");
  })();
`;
const bundles = new Map();

async function bundled(path) {
  const { output } = await build({
    logLevel: "silent",
    configFile: "vite.config.ts",
    build: { ssr: `./src/${path}`, write: false, minify: false, rollupOptions: { output: { codeSplitting: false } } },
    ssr: { noExternal: true },
  });
  return "data:text/javascript;base64," + Buffer.from(output[0].code).toString("base64");
}

function called(workerData) {
  return new Promise((resolve) => {
    const thread = new Worker(THREAD, { eval: true, execArgv: [], workerData });
    thread.once("message", (text) => resolve({ answer: text }));
    thread.once("error", (error) => resolve({ error: String(error?.stack ?? error) }));
    thread.once("exit", () => resolve({ error: "it ended without an answer" }));
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const { path, body, given, browser } = JSON.parse(line);
  let said;
  try {
    if (!bundles.has(path)) bundles.set(path, await bundled(path));
    said = await called({ bundle: bundles.get(path), body, given, browser });
  } catch (error) {
    said = { error: String(error?.stack ?? error) };
  }
  process.stdout.write(JSON.stringify(said) + "\n");
}
