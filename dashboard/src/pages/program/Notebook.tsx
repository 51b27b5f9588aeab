/** A notebook with its outputs. Nothing of it runs: HTML is in a frame that allows no script, no form and no request. */

import { Image, Stack, Text } from "@mantine/core";

import { integer } from "../../format";
import { type Cell, excerpts, type Output } from "./notebooks";

const MAX_TEXT_CHARACTERS = 20_000;
const MAX_CELLS = 1000;
const MAX_OUTPUTS = 500;
/** The frame inherits the page's policy too; this one also refuses images and styles from elsewhere. */
const INERT = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">`;

export function Notebook({ notebook }: { notebook: readonly Cell[] }) {
  return (
    <Stack gap="sm" className="notebook">
      {excerpts(notebook, MAX_CELLS, MAX_OUTPUTS).map(({ cell, outputs, hidden }, i) => (
        <div key={i} role="group" aria-label={`Cell ${i + 1}`}>
          {cell.kind === "code" ? (
            <>
              <Text size="xs" c="dimmed" className="mono">
                [{cell.count ?? " "}]
              </Text>
              <pre className="source">{cell.source}</pre>
            </>
          ) : (
            <pre className="prose">{cell.source}</pre>
          )}
          {outputs.map((output, j) => (
            <Shown key={j} output={output} name={`Output ${j + 1} of cell ${i + 1}`} />
          ))}
          {hidden > 0 && <NotShown count={hidden} what="outputs" />}
        </div>
      ))}
      {notebook.length > MAX_CELLS && <NotShown count={notebook.length - MAX_CELLS} what="cells" />}
    </Stack>
  );
}

function NotShown({ count, what }: { count: number; what: string }) {
  return (
    <Text size="xs" c="dimmed">
      {integer(count)} more {what}. Download the notebook to see all of it.
    </Text>
  );
}

function Shown({ output, name }: { output: Output; name: string }) {
  if (output.kind === "image") return <Image src={output.source} alt={name} w="auto" maw="100%" bg="white" my={4} />;
  if (output.kind === "html") {
    return <iframe title={name} sandbox="" srcDoc={INERT + output.html} className="output-frame" />;
  }
  const { text } = output;
  return (
    <>
      <pre className={output.kind === "error" ? "output failed" : "output"}>{text.slice(0, MAX_TEXT_CHARACTERS)}</pre>
      {text.length > MAX_TEXT_CHARACTERS && (
        <Text size="xs" c="dimmed">
          Only the beginning. Download the notebook to see all of it.
        </Text>
      )}
    </>
  );
}
