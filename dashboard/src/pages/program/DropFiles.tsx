/** Where a program is dropped or chosen: files, a folder, or an archive. */

import { Button, Group, Stack, Text } from "@mantine/core";
import { Upload } from "lucide-react";
import { useRef, useState, type DragEvent } from "react";

import { sendArchive, sendProgram, type SentFile } from "../../api/programs";
import type { ProgramRead } from "../../api/schema";
import { Failure } from "../../components/Feedback";
import { useAction } from "../../components/useAction";
import { bytes, counted, integer } from "../../format";
import { collected, fromDrop, fromInput, isArchive } from "./collecting";

interface DropFilesProps {
  limits: { max_bytes: number; max_files: number } | undefined;
  sent: (program: ProgramRead) => void;
}

async function sendFiles(given: readonly SentFile[]): Promise<ProgramRead> {
  const [first] = given;
  if (given.length === 1 && first !== undefined && isArchive({ name: first.path })) {
    return sendArchive(new File([first.content], first.path));
  }
  const { name, files } = collected(given);
  if (files.length === 0) throw new Error("No files to upload. Caches and version control are skipped.");
  return sendProgram(files, name);
}

export function DropFiles({ limits, sent }: DropFilesProps) {
  const [over, setOver] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const send = useAction(
    async (given: Promise<SentFile[]>) => sendFiles(await given),
    (program) => {
      sent(program);
      return `Uploaded ${counted(program.file_count, "file")}.`;
    },
    true,
  );
  function drop(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    send.mutate(fromDrop(event.dataTransfer.items));
  }
  function choose(input: HTMLInputElement) {
    if (input.files !== null && input.files.length > 0) send.mutate(Promise.resolve(fromInput(input.files)));
    input.value = "";
  }
  return (
    <div
      className={over ? "drop over" : "drop"}
      role="group"
      aria-label="Upload files"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Stack gap="xs" align="center">
        <Upload size={26} aria-hidden opacity={0.7} />
        <Text fw={600}>Drop files, a folder or an archive here</Text>
        <Group gap="xs" justify="center">
          <Button size="sm" loading={send.isPending} onClick={() => files.current?.click()}>
            Choose files
          </Button>
          <Button size="sm" variant="default" disabled={send.isPending} onClick={() => folder.current?.click()}>
            Choose a folder
          </Button>
        </Group>
        <Text size="xs" c="dimmed" ta="center">
          Scripts, notebooks and small data files
          {limits && `, up to ${integer(limits.max_files)} files and ${bytes(limits.max_bytes)} in total`}. Caches and
          version control are skipped.
        </Text>
        {send.error !== null && <Failure error={send.error} />}
      </Stack>
      <input
        ref={files}
        type="file"
        multiple
        hidden
        aria-label="Files"
        onChange={(event) => choose(event.currentTarget)}
      />
      <input
        ref={(input) => {
          folder.current = input;
          input?.setAttribute("webkitdirectory", "");
        }}
        type="file"
        hidden
        aria-label="Folder"
        onChange={(event) => choose(event.currentTarget)}
      />
    </div>
  );
}
