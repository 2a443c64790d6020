import { describe, expect, test } from "bun:test";
import { runReplay } from "../../../src/tools/replay/replay-command.ts";
import { archive, described, record, replay, rigWith, SOURCE } from "./rig.ts";

describe("what a target takes", () => {
  test("a target that is made takes records as large and as late as the source has", async () => {
    const ahead = { timestamp_ms: Date.now() + 7_200_000, value: "x".repeat(4 * 1024 * 1024) };
    await using rig = await rigWith([record(0, ahead), record(1)]);
    const { code, said } = await replay(rig, "--id r");
    expect([code, said]).toEqual([
      0,
      expect.stringContaining("orders.replay was made: 1 partitions, 3 replicas, max.message.bytes="),
    ]);
    expect(await archive(rig)).toMatchObject({ code: 0 });
    expect(await archive(rig, "--restore")).toMatchObject({ code: 0 });
  });

  test.each([
    [{ "message.timestamp.type": "LogAppendTime" }, "message.timestamp.type=LogAppendTime puts times of its own in their place"],
    [{ "cleanup.policy": "compact,delete" }, "cleanup.policy=compact,delete deletes all but the last record of a key"],
    [{ "max.message.bytes": "500" }, "the record at 0:1 takes up to 607 bytes"],
    [{ "retention.ms": "604800000" }, "one record is of 2020-01-01T00:00:00.000Z and retention.ms=604800000 deletes it at once"],
    [{ "message.timestamp.before.max.ms": "3600000" }, "too old for message.timestamp.before.max.ms=3600000"],
    [{ "message.timestamp.after.max.ms": "3600000" }, "too late for message.timestamp.after.max.ms=3600000"],
  ])("a target with %j is refused before anything is moved", async (settings, why) => {
    const old = record(0, { timestamp_ms: Date.parse("2020-01-01T00:00:00Z") });
    await using rig = await rigWith([old, record(1, { timestamp_ms: Date.now() + 7_200_000, value: "1234567890" })]);
    await rig.log.createTopic("made", 1);
    const refused = {
      code: 2,
      said: expect.stringMatching(new RegExp(`^made would not take or keep what is to be written: .*${why}`, "m")),
    };
    expect(await archive(rig)).toMatchObject({ code: 0 });
    const log = described(rig.log, "made", settings);
    expect(await replay(rig, "--target made", { log })).toEqual(refused);
    expect(await archive(rig, "--restore --target made", { log })).toEqual(refused);
    expect(await rig.read("made")).toEqual([]);
  });

  test("a target that keeps records for a time only is warned of", async () => {
    await using rig = await rigWith([record(0, { timestamp_ms: Date.now() })]);
    await rig.log.createTopic("made", 1);
    const log = described(rig.log, "made", { "retention.ms": "604800000" });
    expect(await replay(rig, "--target made", { log })).toEqual({
      code: 0,
      said: expect.stringContaining("made does not keep its records for ever (retention.ms=604800000)"),
    });
  });

  test("appends are as large as the target takes, and halved where it takes less than it says", async () => {
    await using rig = await rigWith(Array.from({ length: 400 }, (_, n) => record(n)));
    expect(await archive(rig)).toMatchObject({ code: 0 });
    await rig.log.createTopic("small", 1, { record_bytes_max: 1_200 });
    for (const [target, log] of [
      ["small", rig.broker.connect("operation")],
      ["smaller", described(rig.broker.connect("operation"), "smaller", { "max.message.bytes": "1048576" })],
    ] as const) {
      await rig.log.createTopic(target, 1, { record_bytes_max: 1_200 });
      expect(await replay(rig, `--target ${target} --id ${target}`, { log })).toMatchObject({ code: 0 });
      const restored = described(log, `${target}.restored`, target === "small" ? {} : { "max.message.bytes": "1048576" });
      await rig.log.createTopic(`${target}.restored`, 1, { record_bytes_max: 1_200 });
      expect(await archive(rig, `--restore --target ${target}.restored`, { log: restored })).toMatchObject({ code: 0 });
      expect(await rig.read(`${target}.restored`)).toEqual(await rig.read(SOURCE));
    }
  });

  test("a record that is itself too large is named by its place, and ends the run at once", async () => {
    await using rig = await rigWith([record(0), record(1, { value: "x".repeat(2_000) }), record(2)]);
    await rig.log.createTopic("small", 1, { record_bytes_max: 1_200 });
    const log = described(rig.broker.connect("operation"), "small", { "max.message.bytes": "1048576" });
    const { code, said } = await replay(rig, "--target small --id r", { log });
    expect([code, said]).toEqual([1, expect.stringContaining("The record at 0:1 takes up to")]);
    expect(said).toContain("raise its max.message.bytes");
    expect(said).not.toContain("It is tried again");
    rig.broker.topics.setRecordBytesMax("small", 10_000);
    expect((await rig.run(runReplay, "--id r")).code).toBe(0);
    expect((await rig.read("small")).map(({ key }) => key)).toEqual(["ORD-0", "ORD-1", "ORD-2"]);
  });

  test("a refusal is told with its cause, and not tried again", async () => {
    await using rig = await rigWith([record(0, { timestamp_ms: Date.now() + 7_200_000 })]);
    await rig.log.createTopic("made", 1);
    const { code, said } = await replay(rig, "--target made");
    expect([code, said]).toEqual([1, expect.stringContaining("takes no timestamp that is an hour ahead")]);
    expect(said).not.toContain("It is tried again");
  });
});
