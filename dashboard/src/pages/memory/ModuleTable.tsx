/** The flame in words: each module with its bytes by cause. */

import { Table, Text } from "@mantine/core";

import { bytes, number } from "../../format";
import { CAUSES, entries } from "./causes";
import { rowsOf, type Block } from "./tree";

export function ModuleTable({ top }: { top: Block }) {
  const causes = entries(top.sizes).map(([cause]) => cause);
  return (
    <Table.ScrollContainer minWidth={260 + 110 * causes.length} mah="26rem">
      <Table verticalSpacing={2} stickyHeader aria-label="Memory of the peak by module">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Module</Table.Th>
            <Table.Th ta="right">Bytes</Table.Th>
            <Table.Th ta="right">Share</Table.Th>
            {causes.map((cause) => (
              <Table.Th key={cause} ta="right">
                {CAUSES[cause]}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rowsOf(top).map(([block, depth]) => (
            <Table.Tr key={block.key}>
              <Table.Td style={{ paddingLeft: `${0.6 + 0.9 * depth}rem`, whiteSpace: "nowrap" }}>
                {block.name}{" "}
                <Text span size="xs" c="dimmed">
                  {block.kind}
                </Text>
              </Table.Td>
              <Table.Td ta="right" className="numbers">
                {bytes(block.total)}
              </Table.Td>
              <Table.Td ta="right" className="numbers">
                {number((100 * block.total) / top.total, 2)} %
              </Table.Td>
              {causes.map((cause) => (
                <Table.Td key={cause} ta="right" className="numbers">
                  {block.sizes[cause] ? bytes(block.sizes[cause]) : ""}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
