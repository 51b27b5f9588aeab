/** Runs beside the tabs of a browser, once for all of them, and holds their stream. */

import { REPEAT_MILLISECONDS, SharedStream, type Told, type Watching } from "./stream";

const scope = globalThis as unknown as { onconnect: (event: MessageEvent) => void };
const stream = new SharedStream();

scope.onconnect = ({ ports: [port] }) => {
  if (port === undefined) return;
  const tell = (told: Told) => port.postMessage(told);
  port.onmessage = ({ data }: MessageEvent<Watching>) => stream.hear(tell, data, Date.now());
};
setInterval(() => stream.forgetSilent(Date.now()), REPEAT_MILLISECONDS);
