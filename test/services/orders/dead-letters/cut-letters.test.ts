import { expect, test } from "bun:test";
import { systemClock } from "../../../../src/system/clock.ts";
import { deadLetterPage } from "../../../../src/services/orders/dead-letters/dead-letter-listing.ts";
import { LogScans } from "../../../../src/services/orders/query/log-scan.ts";
import { DEAD_LETTER_TOPIC, poison, Rig, TOPIC } from "../../../runtime/rig.ts";
import { applied } from "../../../runtime/dead-letters/letters-rig.ts";

const listed = async (rig: Rig) =>
  (await deadLetterPage(new LogScans(rig.log, systemClock), TOPIC, DEAD_LETTER_TOPIC, undefined, undefined, 9)).letters;

test("a letter that does not have the whole record is shown as cut, with the record's sizes, and with why no command redrives it", async () => {
  await using rig = new Rig();
  await rig.prepare(1);
  rig.broker.topics.setRecordBytesMax(DEAD_LETTER_TOPIC, 3_000);
  await rig.append({ ...poison(0, "z".repeat(6_000)), key: "k".repeat(4_000) }, poison(0, "v".repeat(2_000) + "w".repeat(2_000)));
  rig.broker.topics.landUndecodable(TOPIC, 0, 5, "It is none.");
  await rig.append(poison(0, "small"));
  await applied(rig, "x");
  const byOrigin = new Map((await listed(rig)).map((letter) => [letter.origin.offset, letter]));
  const [both, value, batch, whole] = [0, 1, 2, 7].map((offset) => byOrigin.get(offset));
  const cut = (offset: number) =>
    `It says that it does not have the whole record, as one that was cut to fit: that is in ${TOPIC} only, partition 0, offset ${offset}. So it is not redriven.`;
  expect(both).toMatchObject({
    key: { bytes: 4_000, isCut: true },
    value: { bytes: 6_000, isCut: true, text: "" },
    redrive: null,
    noRedrive: cut(0),
  });
  expect(value).toMatchObject({
    key: { bytes: 5, isCut: false },
    value: { bytes: 4_000, isCut: true },
    redrive: null,
    noRedrive: cut(1),
  });
  expect(batch).toMatchObject({
    redrive: null,
    noRedrive: `It stands for a batch of ${TOPIC}, partition 0, offsets 2 to 6, that cannot be decoded: there is no record to redrive.`,
  });
  expect(whole).toMatchObject({ redrive: expect.stringMatching(/^bun run redrive /), noRedrive: null });
});
