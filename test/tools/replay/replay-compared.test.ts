import { expect, test } from "bun:test";
import type { NewRecord } from "../../../src/log/port.ts";
import { operationsRig, spoiled } from "../rig.ts";
import { nth, replay } from "./rig.ts";

/** The exit code and the comparison's complaints about a planted bug. */
const verdict = ({ code, said }: { code: number; said: string }) => [
  code,
  ...(said.match(/^(missing|changed|unexpected|out of order|repeated): .*$/gm) ?? []),
];

test("a mover that loses, alters, adds, doubles or reorders is found out, and where", async () => {
  await using rig = await operationsRig(1);
  await rig.append(...[0, 1, 3, 2].map((n) => ({ ...nth(n), partition: 0 })));
  const spoils: [name: string, spoil: (records: readonly NewRecord[]) => readonly NewRecord[], expected: unknown[]][] = [
    ["nothing", (records) => records, [0]],
    ["lost", (records) => records.filter((_, i) => i !== 1), [1, "missing: orders.events 0:1: it did not arrive"]],
    [
      "altered",
      (records) =>
        records.map((record, i) =>
          i === 0 ? { ...record, value: "x", timestamp_ms: 1, headers: record.headers.slice(1) } : record,
        ),
      [1, "changed: orders.events 0:0 at altered 0:0: value, timestamp, headers differ"],
    ],
    // A doubled record that is no event would become two dead letters.
    [
      "doubled",
      (records) => [...records, ...records.slice(2, 4)],
      [1, "repeated: orders.events 0:2 at doubled 0:4: it has no event id by which it would count once"],
    ],
    ["reordered", (records) => records.toReversed(), [1, "out of order"]],
    [
      "added",
      (records) => [
        {
          ...records[0]!,
          headers: records[0]!.headers.map(([name, value]) => [name, name === "x-replayed-from-offset" ? "9" : value] as const),
        },
        ...records,
      ],
      [1, "unexpected: orders.events 0:9 at added 0:0"],
    ],
    [
      "misplaced",
      (records) => [
        ...records,
        {
          ...records[0]!,
          headers: records[0]!.headers.map(
            ([name, value]) => [name, name === "x-replayed-from-partition" ? "1" : value] as const,
          ),
        },
      ],
      [1, "unexpected: orders.events 0:0 at misplaced 0:4: it comes from partition 1"],
    ],
  ];
  for (const [target, spoil, expected] of spoils) {
    const ran = await replay(rig, `--target ${target}`, { log: spoiled(rig.broker.connect(`operation ${target}`), spoil) });
    const [code, first = "", ...rest] = verdict(ran);
    expect({ target, code, first: expected.length > 1 ? String(first).startsWith(String(expected[1])) : first }).toEqual({
      target,
      code: expected[0] as number,
      first: expected.length > 1 ? true : "",
    });
    if (target === "reordered") expect(rest).not.toEqual([]);
  }
});
