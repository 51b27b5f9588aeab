/** A choice of what a run of a program starts: one of its notebooks, or a command. */

import { Select, TextInput } from "@mantine/core";

import type { ProgramRead } from "../../api/schema";
import type { Start } from "./command";

const COMMAND = "";

interface WhatToRunProps {
  program: ProgramRead;
  start: Start;
  change: (change: Partial<Start>) => void;
  /** Whether a notebook may be chosen. */
  notebooks?: boolean;
}

export function WhatToRun({ program, start, change, notebooks = true }: WhatToRunProps) {
  const paths = notebooks ? program.files.map((file) => file.path).filter((path) => path.endsWith(".ipynb")) : [];
  return (
    <>
      {paths.length > 0 && (
        <Select
          label="What to run"
          data={[...paths.map((path) => ({ value: path, label: path })), { value: COMMAND, label: "A command" }]}
          value={start.notebook ?? COMMAND}
          onChange={(chosen) => change({ notebook: chosen === COMMAND ? null : chosen })}
          allowDeselect={false}
        />
      )}
      {start.notebook === null && (
        <TextInput
          label="Command"
          description="Runs in the folder of the files, without a shell"
          value={start.command}
          onChange={(event) => change({ command: event.currentTarget.value })}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
          spellCheck={false}
        />
      )}
    </>
  );
}
