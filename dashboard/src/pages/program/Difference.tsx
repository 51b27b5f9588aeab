/** What differs between two programs, file by file. */

import { Badge, Card, Group, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { programDifference } from "../../api/programs";
import type { FileDifferenceRead } from "../../api/schema";
import { Answer, Empty } from "../../components/Feedback";
import { bytes, counted } from "../../format";

const STATUS = {
  added: { color: "teal", word: "Added" },
  removed: { color: "red", word: "Removed" },
  changed: { color: "blue", word: "Changed" },
} as const;

export function Difference({ sha256, other }: { sha256: string; other: string }) {
  const query = useQuery(programDifference(sha256, other));
  return (
    <Answer query={query}>
      {({ same, files, unchanged }) =>
        same ? (
          <Card>
            <Empty title="Both programs are the same" />
          </Card>
        ) : (
          <Stack gap="sm">
            <Text size="sm" c="dimmed">
              {counted(files.length, "changed file")}, {unchanged} unchanged. Lines with − are only in{" "}
              <span className="mono">{sha256.slice(0, 8)}</span>, lines with + only in{" "}
              <span className="mono">{other.slice(0, 8)}</span>.
            </Text>
            {files.map((file) => (
              <OneFile key={file.path} file={file} />
            ))}
          </Stack>
        )
      }
    </Answer>
  );
}

function OneFile({ file }: { file: FileDifferenceRead }) {
  const { color, word } = STATUS[file.status];
  return (
    <Card component="section" aria-label={file.path}>
      <Group gap="xs" mb="xs">
        <Title order={2} size="h5" className="mono break">
          {file.path}
        </Title>
        <Badge color={color} variant="light" tt="none" className={`state state-${color}`}>
          {word}
        </Badge>
      </Group>
      {file.lines === null ? (
        <Text size="sm" c="dimmed">
          {file.omitted === "binary" ? "Not a text file" : "Too large to compare"}: {bytes(file.size_bytes)} before,{" "}
          {bytes(file.other_size_bytes)} after.
        </Text>
      ) : (
        <pre className="diff" tabIndex={0} aria-label={`Changes in ${file.path}`}>
          {file.lines.split("\n").map((line, i) => (
            <span key={i} className={kindOf(line)}>
              {`${line}\n`}
            </span>
          ))}
        </pre>
      )}
    </Card>
  );
}

function kindOf(line: string): string | undefined {
  if (line.startsWith("@@") || line.startsWith("---") || line.startsWith("+++")) return "place";
  if (line.startsWith("+")) return "plus";
  return line.startsWith("-") ? "minus" : undefined;
}
