/** How much of a result's variance each field explains, as bars that are a table. */

import { Card, Text, Title } from "@mantine/core";

import type { ImportanceRead } from "../../../api/schema";
import { counted, percent, words } from "../../../format";

interface Row {
  name: string;
  share: number;
  low: number | null;
  high: number | null;
  /** Not a field: combinations, seeds. */
  part: boolean;
}

export function Importance({ of, result }: { of: ImportanceRead; result: string }) {
  return (
    <Card component="section" aria-labelledby="importance">
      <Title order={2} size="h4" id="importance" mb={4}>
        Importance of fields
      </Title>
      {of.reason !== null ? (
        <Text size="sm" c="dimmed">
          Not known. {of.reason}
        </Text>
      ) : (
        <>
          <table className="shares-table" aria-label={`Share of the variance of ${words(result).toLowerCase()}`}>
            <tbody>
              {rowsOf(of).map((row) => (
                <ShareRow key={row.name} row={row} />
              ))}
            </tbody>
          </table>
          <Text size="xs" c="dimmed" mt="xs">
            Share of the variance of {words(result).toLowerCase()} that each field explains by itself (analysis of
            variance, omega squared), from {counted(of.runs, "run")} with {counted(of.seed_count, "seed")}.{" "}
            {of.no_interval ?? "Lines: 95 % interval over the seeds."}
          </Text>
        </>
      )}
    </Card>
  );
}

function rowsOf(of: ImportanceRead): Row[] {
  const fields = of.fields
    .map(({ field, ...rest }): Row => ({ name: words(field), ...rest, part: false }))
    .sort((a, b) => b.share - a.share);
  const parts: [string, number | null][] = [
    [
      of.between_seeds === null ? "Combinations, and seeds" : "Combinations of fields",
      of.fields.length > 1 ? of.combinations : null,
    ],
    ["From seed to seed", of.between_seeds],
  ];
  return [
    ...fields,
    ...parts.flatMap(([name, share]) => (share === null ? [] : [{ name, share, low: null, high: null, part: true }])),
  ];
}

function ShareRow({ row }: { row: Row }) {
  const { name, share, low, high } = row;
  return (
    <tr className={row.part ? "part" : undefined}>
      <th scope="row">{name}</th>
      <td>
        <div className="share-bar" aria-hidden>
          <span className="size" style={{ width: percentOf(share) }} />
          {low !== null && high !== null && (
            <span className="spread" style={{ left: percentOf(low), width: percentOf(high - low) }} />
          )}
        </div>
      </td>
      <td className="numbers">
        {percent(100 * share)}
        {low !== null && high !== null && (
          <Text span size="xs" c="dimmed">
            {" "}
            {Math.round(100 * low)} to {percent(100 * high)}
          </Text>
        )}
      </td>
    </tr>
  );
}

const percentOf = (share: number) => `${100 * share}%`;
