/** Runs once for all tabs of a browser, and holds their stream. */

import { REPEAT_MILLISECONDS, SharedStream, type Notice, type Watching } from "./stream";

const scope = globalThis as unknown as { onconnect: (event: MessageEvent) => void };
const stream = new SharedStream();

scope.onconnect = ({ ports: [port] }) => {
  if (port === undefined) return;
  const send = (notice: Notice) => port.postMessage(notice);
  port.onmessage = ({ data }: MessageEvent<Watching>) => stream.hear(send, data, Date.now());
};
setInterval(() => stream.forgetSilent(Date.now()), REPEAT_MILLISECONDS);
