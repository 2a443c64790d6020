import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import type { NewRecord } from "../../../src/log/port.ts";
import { DEAD_LETTER_EXTRA_HEADERS, DEAD_LETTER_HEADERS } from "../../../src/log/record-headers.ts";
import { withoutGenerations } from "../../support/stores/without-generations.ts";
import { orderCreated } from "../../support/events/orders.ts";
import { DEAD_LETTER_TOPIC, poison, Rig, TOPIC } from "../rig.ts";
import { applied, lettersOnce, offsets } from "./letters-rig.ts";

const { offset: OFFSET, partition: PARTITION, topic: ORIGIN, reason: REASON } = DEAD_LETTER_HEADERS;
const { cut: CUT, lastOffset: LAST_OFFSET } = DEAD_LETTER_EXTRA_HEADERS;

/** A record of somebody else in the dead-letter topic, by default a letter for ORD-1's poison `{`. */
const forged = (headers: Record<string, string>, value = "{", key = "ORD-1"): NewRecord => ({
  partition: 0,
  key,
  value,
  headers: Object.entries({ [REASON]: "not_json", [ORIGIN]: TOPIC, [PARTITION]: "0", ...headers }),
  timestamp_ms: 1,
});

describe("somebody else's records in the dead-letter topic silence nothing", () => {
  test.each<[string, NewRecord[]]>([
    ["a far offset", [forged({ [OFFSET]: "999999" })]],
    ["the same offset with other bytes", [forged({ [OFFSET]: "0" }, "other"), forged({ [OFFSET]: "0" }, "{", "ORD-2")]],
    ["no offset, and no text", [forged({ [OFFSET]: "x" }), forged({ [OFFSET]: "-1" }), forged({ [OFFSET]: "1e3" }), forged({})]],
    ["another topic or partition", [forged({ [OFFSET]: "0", [ORIGIN]: "other" }), forged({ [OFFSET]: "0", [PARTITION]: "3" })]],
    ["a cut that has other bytes", [forged({ [OFFSET]: "0", [CUT]: "value=9" }, "}")]],
    ["a batch that is none", [forged({ [OFFSET]: "0", [REASON]: "undecodable_batch", [LAST_OFFSET]: "7" })]],
    ["an earlier record that is another", [forged({ [OFFSET]: "0" }, "other"), forged({ [OFFSET]: "1" }, "other")]],
  ])("%s", async (_, records) => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(poison(0, "{"), orderCreated({ orderId: "ORD-9" }), poison(0, "["));
    await rig.log.producer().append(DEAD_LETTER_TOPIC, records);
    await applied(rig, "x");
    const ours = (await lettersOnce(rig)).slice(records.length);
    expect(ours.map(({ value }) => value)).toEqual(["{", "["]);
  });

  test("nor do many that name an earlier record hide what was delivered", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(poison(0, "a"), poison(0, "b"));
    const before = await applied(rig, "x");
    await before.close();
    // These letters reach further than one step of the search.
    const many = Array.from({ length: 3_000 }, () => forged({ [OFFSET]: "0" }, "other"));
    while (many.length > 0) await rig.log.producer().append(DEAD_LETTER_TOPIC, many.splice(0, 1_000));
    // The store is put back as if the transaction behind the second letter had not happened.
    const db = new Database(rig.storePath("x", 0));
    const checksum = Bun.hash.crc32("a", Bun.hash.crc32("ORD-1"));
    db.run("UPDATE position SET next_offset = 1, last_offset = 0, last_checksum = ?", [checksum]);
    withoutGenerations(db);
    db.close();
    await applied(rig, "x");
    expect((await rig.deadLetters()).map(({ value }) => value).filter((value) => value !== "other")).toEqual(["a", "b"]);
  });

  test("a record's own headers of these names make its letter no other", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const headers = [LAST_OFFSET, CUT, OFFSET, REASON].map((name) => [name, "7"] as const);
    await rig.append({ ...poison(0, "{"), headers });
    await applied(rig, "x");
    expect(offsets(await lettersOnce(rig))).toEqual([0]);
  });
});
