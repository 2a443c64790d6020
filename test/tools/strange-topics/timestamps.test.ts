import { describe, expect, test } from "bun:test";
import { runRedrive } from "../../../src/tools/redrive/redrive-command.ts";
import { contentOf, operationsRig, TOPIC } from "../rig.ts";
import { archive, record, replay, rigWith, SOURCE, stamped, STAMPS } from "./rig.ts";

describe("timestamps of any 64 bits", () => {
  test("are replayed as they are, and shown", async () => {
    await using rig = await rigWith(stamped());
    const { said } = await replay(rig, "--dry-run");
    expect(said).toContain('0:0  2026-11-25T13:33:23.669Z  "ORD-0"');
    expect(said).toContain('0:2  1795613603669123457  "ORD-2"');
    expect(said).toContain('0:3  -8640000000000001  "ORD-3"');
    expect((await replay(rig, "--id r")).code).toBe(0);
    expect((await rig.read("orders.replay")).map((one) => contentOf(one))).toEqual(
      (await rig.read(SOURCE)).map((one) => contentOf(one)),
    );
  });

  test("are compared with a window as what they are", async () => {
    await using rig = await rigWith(stamped());
    expect((await replay(rig, "--id r --from 2026-11-25T13:33:24Z --target late")).code).toBe(0);
    expect((await rig.read("late")).map(({ timestamp_ms }) => timestamp_ms)).toEqual([
      1_795_613_603_669_123_457n,
      9_223_372_036_854_775_807n,
      9_007_199_254_740_993n,
    ]);
    expect((await replay(rig, "--id s --to 1969-01-01T00:00:00Z --target early")).code).toBe(0);
    expect((await rig.read("early")).map(({ timestamp_ms }) => timestamp_ms)).toEqual([
      -8_640_000_000_000_001,
      -9_223_372_036_854_775_808n,
    ]);
  });

  test("are archived and restored exactly", async () => {
    await using rig = await rigWith(stamped());
    expect(await archive(rig)).toMatchObject({ code: 0 });
    expect(await archive(rig, "--restore")).toMatchObject({ code: 0 });
    expect(await rig.read("orders.restored")).toEqual(await rig.read(SOURCE));
  });

  test("stay with a letter that is parked", async () => {
    await using rig = await operationsRig(1);
    await rig.log.createTopic(`${TOPIC}.dlq`, 1, { anyTimestamp: true });
    const headers = [
      ["x-dead-letter-topic", TOPIC],
      ["x-dead-letter-partition", "0"],
      ["x-dead-letter-offset", "0"],
      ["x-redrive-count", "3"],
    ] as const;
    await rig.log.producer().append(`${TOPIC}.dlq`, [record(0, { headers, timestamp_ms: STAMPS[2]! })]);
    expect(await rig.run(runRedrive, "--yes")).toMatchObject({ code: 0 });
    expect((await rig.read(`${TOPIC}.parked`)).map(({ timestamp_ms }) => timestamp_ms)).toEqual([STAMPS[2]!]);
  });
});
