import { describe, expect, test } from "bun:test";
import type { NewRecord } from "../../../src/log/port.ts";
import { REPLAY_HEADERS } from "../../../src/log/record-headers.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { DEAD_LETTER_TOPIC, eventually, poison, Rig, TOPIC } from "../rig.ts";
import { applied, end, lettersOnce, offsets } from "./letters-rig.ts";

describe("once", () => {
  test("also after the dead-letter topic has grown", async () => {
    await using rig = new Rig();
    await rig.log.createTopic(TOPIC, 3);
    await rig.log.createTopic(DEAD_LETTER_TOPIC, 1);
    const bad = (from: number) => rig.append(...Array.from({ length: 4 }, (_, n) => poison(2, `bad ${from + n}`)));
    const through = async (name: string) => {
      const set = rig.start(name, [2]);
      const endOffset = await end(rig, 2);
      await eventually(() => set.get(2)?.nextOffset === endOffset);
      await set.close();
    };
    for (const [grown, count] of [1, 2, 3].entries()) {
      await rig.log.addPartitions(DEAD_LETTER_TOPIC, count);
      await bad(4 * grown);
      await through("x");
    }
    await through("again");
    const letters = await rig.deadLetters();
    expect(offsets(letters).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, n) => n));
  });

  test("where a replay wrote the same poison into its topic again, and again; but not where a record only says so", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const replayed = (value: string, from: number, topic = TOPIC): NewRecord => ({
      ...poison(0, value),
      headers: [
        [REPLAY_HEADERS.id, "r-1"],
        [REPLAY_HEADERS.topic, topic],
        [REPLAY_HEADERS.partition, "0"],
        [REPLAY_HEADERS.offset, String(from)],
      ],
    });
    await rig.append(
      poison(0, "a"),
      poison(0, "b"),
      replayed("a", 0),
      replayed("b", 1),
      replayed("a", 2),
      replayed("c", 0),
      replayed("b", 7),
      replayed("a", 0, "other"),
    );
    await applied(rig, "x");
    expect(offsets(await lettersOnce(rig))).toEqual([0, 1, 5, 6, 7]);
  });

  test("50,000 in some seconds", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    for (let n = 0; n < 50; n++) await rig.append(...Array.from({ length: 1_000 }, () => poison(0, "hi")));
    const began_ms = performance.now();
    const set = rig.start("x", [0]);
    // Appended one by one, the letters would take minutes.
    await waitUntil("the letters", () => set.get(0)?.nextOffset === 50_000, { wait_ms_max: 25_000 });
    expect(performance.now() - began_ms).toBeLessThan(25_000);
    expect((await rig.deadLetters()).length).toBe(50_000);
  });
});
