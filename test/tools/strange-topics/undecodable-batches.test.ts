import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runRedrive } from "../../../src/tools/redrive/redrive-command.ts";
import { type OperationsRig, operationsRig, TOPIC } from "../rig.ts";
import { archive, record, replay, rigWith, SOURCE } from "./rig.ts";

describe("batches that cannot be decoded", () => {
  async function withUndecodable(): Promise<OperationsRig> {
    const rig = await rigWith([record(0)]);
    rig.broker.topics.landUndecodable(SOURCE, 0, 3, "Its checksum is wrong.");
    await rig.log.producer().append(SOURCE, [record(1)]);
    return rig;
  }

  test("are left out of a replay and named; it is not whole then, unless that is wanted", async () => {
    await using rig = await withUndecodable();
    const { code, said } = await replay(rig, "--id r");
    expect([code, said]).toEqual([1, expect.stringContaining("  0:1–3: Its checksum is wrong.\n")]);
    expect((await rig.read("orders.replay")).map(({ key }) => key)).toEqual(["ORD-0", "ORD-1"]);
    expect((await replay(rig, "--id s --target t --skip-undecodable")).code).toBe(0);
  });

  test("are noted in an archive's manifest, and what else there is is restored", async () => {
    await using rig = await withUndecodable();
    expect(await archive(rig)).toEqual({ code: 1, said: expect.stringContaining("  0:1–3: Its checksum is wrong.\n") });
    expect(await archive(rig, "--skip-undecodable")).toMatchObject({ code: 0 });
    const manifest = JSON.parse(readFileSync(join(rig.dataDir, "archive", `${SOURCE}.manifest.json`), "utf8")) as object;
    expect(manifest).toMatchObject({
      undecodable: { batches: 1, kept: [{ partition: 0, offset: 1, lastOffset: 3, reason: "Its checksum is wrong." }] },
    });
    expect(await archive(rig, "--restore")).toEqual({
      code: 0,
      said: expect.stringContaining("  0:1–3: Its checksum is wrong.\n"),
    });
    expect((await rig.read("orders.restored")).map(({ key }) => key)).toEqual(["ORD-0", "ORD-1"]);
  });

  test("and letters that do not have the whole record, are left by a redrive", async () => {
    await using rig = await operationsRig(1);
    await rig.log.createTopic(`${TOPIC}.dlq`, 1);
    const headers = (offset: number, ...more: [string, string][]) => [
      ["x-dead-letter-topic", TOPIC] as const,
      ["x-dead-letter-partition", "0"] as const,
      ["x-dead-letter-offset", String(offset)] as const,
      ...more,
    ];
    rig.broker.topics.landUndecodable(`${TOPIC}.dlq`, 0, 1, "Its checksum is wrong.");
    await rig.log
      .producer()
      .append(`${TOPIC}.dlq`, [
        record(1, { headers: headers(1, ["x-dead-letter-cut", "value=3145728"]) }),
        record(2, { headers: headers(2, ["x-dead-letter-last-offset", "4"]), key: null, value: null }),
        record(3, { headers: headers(5) }),
      ]);
    // A letter that is asked for by its offset must be redriven, so leaving it out is a failure.
    const named = await rig.run(runRedrive, "--yes --partition 0 --offset 1");
    expect([named.code, named.said]).toEqual([2, expect.stringContaining(`which is in ${TOPIC} only: 1 letter.`)]);
    const { code, said } = await rig.run(runRedrive, "--yes");
    expect([code, said]).toEqual([
      0,
      expect.stringContaining("Left, as they do not have the whole record, which is in orders.events only: 2 letters."),
    ]);
    expect(said).toContain("1 batch of orders.events.dlq cannot be decoded");
    expect((await rig.read(TOPIC)).map(({ key }) => key)).toEqual(["ORD-3"]);
  });
});
