/** The files of a program: one at a time, with line numbers, and an editor for small text files. */

import { Button, Card, Group, Stack, Text, UnstyledButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Download, FileCode, Pencil } from "lucide-react";
import { useState } from "react";

import { programFile, programFilePath, sendChanged } from "../../api/programs";
import type { ProgramRead } from "../../api/schema";
import { Answer, Failure } from "../../components/Feedback";
import { useAction } from "../../components/useAction";
import { bytes } from "../../format";
import { Notebook } from "./Notebook";
import { parsedNotebook } from "./notebooks";

const MAX_SHOWN_BYTES = 500_000;
const BINARY = /\.(png|jpe?g|gif|webp|pdf|npy|npz|pt|pth|bin|zip|gz|parquet|pkl|h5|safetensors)$/i;

interface FilesProps {
  program: ProgramRead;
  chosen: string | undefined;
  choose: (path: string) => void;
  /** Called with the program that holds an edited file. */
  changed: (program: ProgramRead) => void;
}

export function Files({ program, chosen, choose, changed }: FilesProps) {
  const entry = program.files.find((one) => one.path === chosen) ?? program.files[0];
  return (
    <div className={program.files.length > 1 ? "program-files" : undefined}>
      {program.files.length > 1 && (
        <nav aria-label="Files of the program">
          {program.files.map(({ path, size_bytes }) => (
            <UnstyledButton
              key={path}
              className="option"
              aria-current={path === entry?.path || undefined}
              onClick={() => choose(path)}
            >
              <FileCode size={15} aria-hidden />
              <span className="break">{path}</span>
              <Text span size="xs" c="dimmed" ml="auto" className="numbers" style={{ whiteSpace: "nowrap" }}>
                {bytes(size_bytes)}
              </Text>
            </UnstyledButton>
          ))}
        </nav>
      )}
      {entry && <OneFile key={`${program.sha256} ${entry.path}`} program={program} entry={entry} changed={changed} />}
    </div>
  );
}

interface OneFileProps {
  program: ProgramRead;
  entry: ProgramRead["files"][number];
  changed: FilesProps["changed"];
}

function OneFile({ program, entry, changed }: OneFileProps) {
  const { path, size_bytes: size } = entry;
  const shown = size <= MAX_SHOWN_BYTES && !BINARY.test(path);
  const query = useQuery({ ...programFile(program.sha256, path), enabled: shown });
  const [edited, edit] = useState<string | null>(null);
  return (
    <Card component="section" aria-label={path} style={{ minWidth: 0 }}>
      <Stack gap="xs">
        <Group justify="space-between" gap="xs">
          <Text fw={600} size="sm" className="mono break">
            {path}
          </Text>
          <Group gap="xs">
            {shown && edited === null && query.data !== undefined && (
              <Button
                size="xs"
                variant="default"
                leftSection={<Pencil size={14} aria-hidden />}
                onClick={() => edit(query.data)}
              >
                Edit
              </Button>
            )}
            <Button
              component="a"
              href={programFilePath(program.sha256, path)}
              download={path.split("/").at(-1)}
              size="xs"
              variant="default"
              leftSection={<Download size={14} aria-hidden />}
            >
              Download
            </Button>
          </Group>
        </Group>
        {!shown ? (
          <Text size="sm" c="dimmed">
            {bytes(size)}: too large or not text. Download it to see it.
          </Text>
        ) : edited !== null ? (
          <Editor
            program={program}
            path={path}
            text={edited}
            change={edit}
            close={() => edit(null)}
            changed={changed}
          />
        ) : (
          <Answer query={query}>{(text) => <Content path={path} text={text} />}</Answer>
        )}
      </Stack>
    </Card>
  );
}

function Content({ path, text }: { path: string; text: string }) {
  const notebook = path.endsWith(".ipynb") ? parsedNotebook(text) : null;
  return notebook === null ? <Numbered text={text} /> : <Notebook notebook={notebook} />;
}

function Numbered({ text }: { text: string }) {
  const lines = text.replace(/\n$/, "").split("\n");
  return (
    <div className="code" tabIndex={0} role="region" aria-label="Content">
      <pre aria-hidden className="line-numbers">
        {lines.map((_, i) => i + 1).join("\n")}
      </pre>
      <pre>{lines.join("\n")}</pre>
    </div>
  );
}

interface EditorProps {
  program: ProgramRead;
  path: string;
  text: string;
  change: (text: string) => void;
  close: () => void;
  changed: FilesProps["changed"];
}

function Editor({ program, path, text, change, close, changed }: EditorProps) {
  const send = useAction(
    () => sendChanged(program, path, text),
    (made) => {
      changed(made);
      return "Saved as a new program.";
    },
    true,
  );
  const count = text.split("\n").length;
  return (
    <Stack gap="xs">
      <div className="code editor">
        <pre aria-hidden className="line-numbers">
          {Array.from({ length: count }, (_, i) => i + 1).join("\n")}
        </pre>
        <textarea
          aria-label={`Edit ${path}`}
          value={text}
          rows={count}
          wrap="off"
          spellCheck={false}
          autoCapitalize="off"
          onChange={(event) => change(event.currentTarget.value)}
        />
      </div>
      {send.error !== null && <Failure error={send.error} />}
      <Group gap="xs">
        <Button size="sm" loading={send.isPending} onClick={() => send.mutate(undefined)}>
          Save as new program
        </Button>
        <Button size="sm" variant="default" onClick={close}>
          Discard
        </Button>
      </Group>
    </Stack>
  );
}
