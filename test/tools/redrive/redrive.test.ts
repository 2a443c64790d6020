import { expect, test } from "bun:test";
import type { NewHeader, NewRecord } from "../../../src/log/port.ts";
import { noFaults } from "../../log/memory/memory-log.ts";
import { encodeEvent } from "../../../src/orders/events/encode.ts";
import { planRedrive } from "../../../src/tools/redrive/redrive.ts";
import { runReplay } from "../../../src/tools/replay/replay-command.ts";
import { runRedrive } from "../../../src/tools/redrive/redrive-command.ts";
import { statusUpdated } from "../../support/events/orders.ts";
import { type ExactRecord, headerOf } from "../../support/events/records.ts";
import { type OperationsRig, operationsRig, spoiled, TOPIC } from "../rig.ts";

const PARTITIONS = 4;
const DLQ = `${TOPIC}.dlq`;
const PARKED = `${TOPIC}.parked`;
const TAKE_BACK =
  "No redrive takes what is in orders.events.parked. Once its cause is mended, this takes back all of it: bun run replay --topic orders.events.parked --target orders.events --direct --yes";
const FIRST_MS = Date.parse("2026-11-25T00:00:00Z");

interface LetterOptions {
  readonly reason?: string;
  readonly redrives?: string;
  readonly topic?: string;
  readonly partition?: string;
}

/** The n-th letter, of a record at offset n of its partition; each is a second after the one before. */
function letter(
  n: number,
  { reason = "not_json", redrives, topic = TOPIC, partition = String(n % PARTITIONS) }: LetterOptions = {},
): NewRecord {
  const headers: NewHeader[] = [
    ["d", "1"],
    ["d", null],
  ];
  if (redrives !== undefined)
    headers.push(
      ["x-redrive-count", redrives],
      ["x-redriven-from-topic", DLQ],
      ["x-redriven-from-partition", "0"],
      ["x-redriven-from-offset", "9999"],
    );
  headers.push(
    ["x-dead-letter-reason", reason],
    ["x-dead-letter-detail", "why"],
    ["x-dead-letter-topic", topic],
    ["x-dead-letter-partition", partition],
    ["x-dead-letter-offset", String(Math.floor(n / PARTITIONS))],
  );
  return { partition: n % PARTITIONS, key: `ORD-${n % 3}`, value: `poison ${n}`, timestamp_ms: FIRST_MS + n * 1_000, headers };
}

async function rigWith(letters: readonly NewRecord[], faults?: Parameters<typeof operationsRig>[1]): Promise<OperationsRig> {
  const rig = await operationsRig(PARTITIONS, faults);
  await rig.log.createTopic(DLQ, PARTITIONS);
  // These are the records that the letters came from, so that the redriven ones lie behind them.
  await rig.append(
    ...letters.map(({ partition }) => ({ partition, key: "k", value: "as it was", timestamp_ms: 1, headers: [] })),
  );
  await rig.log.producer().append(DLQ, letters);
  return rig;
}

const redrive = (rig: OperationsRig, args = "--yes", more: Parameters<OperationsRig["run"]>[2] = {}) =>
  rig.run(runRedrive, args, more);
const redriven = async (rig: OperationsRig) => (await rig.read(TOPIC)).filter(({ value }) => value?.startsWith("poison"));
const values = (records: readonly ExactRecord[]) => records.map(({ value }) => value);

test("letters go back to where they came from as they were, with the count and the letter's place; a second run takes none again", async () => {
  await using rig = await rigWith(Array.from({ length: 40 }, (_, n) => letter(n, n % 2 ? {} : { redrives: "1" })));
  const started_ms = Date.now();
  expect(await redrive(rig)).toMatchObject({ code: 0 });
  const records = await redriven(rig);
  expect(records).toHaveLength(40);
  for (const record of records) {
    const n = Number(record.value?.slice("poison ".length));
    expect(record).toMatchObject({ partition: n % PARTITIONS, key: `ORD-${n % 3}` });
    expect(record.timestamp_ms).toBeGreaterThanOrEqual(started_ms);
    expect(record.headers).toEqual([
      ["d", "1"],
      ["d", null],
      ["x-redrive-count", n % 2 ? "1" : "2"],
      ["x-redriven-from-topic", DLQ],
      ["x-redriven-from-partition", String(n % PARTITIONS)],
      ["x-redriven-from-offset", String(Math.floor(n / PARTITIONS))],
      ["x-redriven-from-timestamp", String(FIRST_MS + n * 1_000)],
    ]);
  }
  const again = await redrive(rig);
  expect(again).toEqual({ code: 0, said: expect.stringContaining("Redriven before, each once: 40 letters.") });
  expect(again.said).toContain("No letter of orders.events.dlq that matches is to be redriven.");
  expect(again.said).not.toContain("Parked");
  expect(await redriven(rig)).toHaveLength(40);
  expect(await rig.log.partitionCount(PARKED)).toBe(0);
});

test("one that was redriven as often as allowed is parked with all its headers, at its letter's place, once", async () => {
  await using rig = await rigWith([letter(0, { redrives: "3" }), letter(1, { redrives: "2" }), letter(2, { redrives: "many" })]);
  const ran = await redrive(rig);
  expect(ran).toEqual({ code: 0, said: expect.stringContaining(`given up: 1 letter. ${TAKE_BACK}`) });
  expect(ran.said).toContain("A record that is still poison comes back to orders.events.dlq as a new letter");
  expect(values(await redriven(rig))).toEqual(["poison 1", "poison 2"]);
  const [parked, ...more] = await rig.read(PARKED);
  const [original] = (await rig.read(DLQ)).filter(({ value }) => value === "poison 0");
  const added = [
    ["x-parked-from-topic", DLQ],
    ["x-parked-from-partition", "0"],
    ["x-parked-from-offset", "0"],
    ["x-parked-from-timestamp", String(FIRST_MS)],
  ] as const;
  expect({ parked, more }).toEqual({ parked: { ...original!, headers: [...original!.headers, ...added] }, more: [] });
  const again = await redrive(rig);
  expect(await rig.read(PARKED)).toHaveLength(1);
  expect(await redriven(rig)).toHaveLength(2);
  expect(again).toEqual({ code: 0, said: expect.stringContaining(`Parked before: 1 letter. ${TAKE_BACK}`) });
});

test("what is taken back from .parked keeps its count and stays there: another run takes it back again, the same --id does not", async () => {
  await using rig = await rigWith([letter(0, { redrives: "3" })]);
  await redrive(rig);
  const takeBack = async (args: string) => {
    expect(await rig.run(runReplay, `${args} --yes`)).toMatchObject({ code: 0 });
    return (await redriven(rig)).map((record) => headerOf(record, "x-redrive-count"));
  };
  const all = `--topic ${PARKED} --target ${TOPIC}`;
  expect(await takeBack(`${all} --id one`)).toEqual(["3"]);
  expect(await takeBack("--id one")).toEqual(["3"]);
  expect(await takeBack(`${all} --from 2026-11-25T00:00:01Z`)).toEqual(["3"]);
  expect(await takeBack(all)).toEqual(["3", "3"]);
  expect(await rig.read(PARKED)).toHaveLength(1);
});

test("letters of a dead-letter topic that was made anew are not those that had their places before: each is taken, once", async () => {
  await using rig = await rigWith([letter(0), letter(PARTITIONS, { redrives: "3" }), letter(1)]);
  expect((await redrive(rig)).code).toBe(0);
  rig.broker.topics.deleteTopic(DLQ);
  await rig.log.createTopic(DLQ, PARTITIONS);
  // An hour later the same poison comes again, once to be redriven and once to be parked, and with it another one.
  const later = [letter(0), letter(PARTITIONS, { redrives: "3" })].map((one) => ({ ...one, timestamp_ms: FIRST_MS + 3_600_000 }));
  await rig.log.producer().append(DLQ, [...later, letter(13)]);
  expect(await redrive(rig)).toMatchObject({ code: 0 });
  expect(values(await redriven(rig))).toEqual(["poison 0", "poison 0", "poison 1", "poison 13"]);
  expect(values(await rig.read(PARKED))).toEqual(["poison 4", "poison 4"]);
  const { said } = await redrive(rig);
  expect(said).toContain("Redriven before, each once: 2 letters.");
  expect(said).toContain("Parked before: 1 letter.");
});

test("what an earlier version redrove or parked, which told no time, is known by the letter's place and bytes", async () => {
  await using rig = await rigWith([letter(0), letter(1), letter(PARTITIONS, { redrives: "3" }), letter(2)]);
  await redrive(rig);
  const asBefore = (records: readonly ExactRecord[]) =>
    records.map(({ partition, key, value, timestamp_ms, headers }) => ({
      partition,
      key,
      // This is the value of another letter, which had this one's place in an earlier topic of the same name.
      value: value === "poison 2" ? "poison of before" : value,
      timestamp_ms,
      headers: headers.filter(([name]) => !name.endsWith("-timestamp")),
    }));
  const [went, parked] = [asBefore(await redriven(rig)), asBefore(await rig.read(PARKED))];
  await using other = await rigWith([letter(0), letter(1), letter(PARTITIONS, { redrives: "3" }), letter(2)]);
  await other.log.createTopic(PARKED, PARTITIONS);
  await other.append(...went);
  await other.log.producer().append(PARKED, parked);
  expect((await redrive(other)).said).toContain("1 letter of orders.events.dlq to orders.events, 0 letters to");
  expect(values(await redriven(other))).toEqual(["poison 0", "poison 1", "poison of before", "poison 2"]);
});

test("all, or by reason, order, time, and place, together", async () => {
  const letters = Array.from({ length: 12 }, (_, n) => letter(n, { reason: n < 6 ? "not_json" : "invalid_date" }));
  const at = (n: number) => new Date(FIRST_MS + n * 1_000).toISOString();
  const cases: [args: string, taken: number[]][] = [
    ["--reason invalid_date", [6, 7, 8, 9, 10, 11]],
    ["--reason invalid_date,not_json --orders 1", [1, 4, 7, 10]],
    [`--from ${at(3)} --to ${at(5)}`, [3, 4]],
    ["--partition 2", [2, 6, 10]],
    ["--partition 2 --offset 1", [6]],
    [`--reason not_json --orders ORD-0,ORD-2 --from ${at(2)}`, [2, 3, 5]],
    ["--reason invalid_status", []],
  ];
  for (const [args, taken] of cases) {
    await using rig = await rigWith(letters);
    expect((await redrive(rig, `--yes ${args}`)).code).toBe(0);
    const found = values(await redriven(rig)).map((value) => Number(value?.slice("poison ".length)));
    expect({ args, taken: found.toSorted((a, b) => a - b) }).toEqual({ args, taken });
  }
});

test("a reason that no letter has, and that this program does not give, is refused, and told which there are", async () => {
  await using rig = await rigWith([letter(0), letter(1, { reason: "of_another_program" }), letter(2)]);
  for (const args of ["--yes --reason nope", "--yes --reason not_json,nope", "--dry-run --reason nope"]) {
    const { code, said } = await redrive(rig, args);
    expect([code, said]).toEqual([2, expect.stringMatching(/^--reason has nope, .* not_json, .*, of_another_program\.\n$/)]);
  }
  expect(await redriven(rig)).toEqual([]);
  expect((await redrive(rig, "--yes --reason of_another_program")).code).toBe(0);
  expect(values(await redriven(rig))).toEqual(["poison 1"]);
});

test("a letter that does not say it came from a partition of the topic is left, and that is said", async () => {
  await using rig = await rigWith([
    letter(0),
    letter(1, { topic: "payments" }),
    letter(2, { partition: "-1" }),
    letter(3, { partition: "4" }),
  ]);
  const { code, said } = await redrive(rig);
  expect([code, values(await redriven(rig))]).toEqual([0, ["poison 0"]]);
  expect(said).toContain("Left, as they do not say that they come from a partition of orders.events: 3 letters.");
});

const untouched = async (rig: OperationsRig) => {
  expect(await redriven(rig)).toEqual([]);
  expect(await rig.log.partitionCount(PARKED)).toBe(0);
};

test("it needs --yes", async () => {
  await using rig = await rigWith([letter(0), letter(1, { redrives: "3" })]);
  expect((await redrive(rig, "")).code).toBe(2);
  await untouched(rig);
});

test("--dry-run says what would go and changes nothing", async () => {
  await using rig = await rigWith([letter(0), letter(1, { redrives: "3" })]);
  expect(await redrive(rig, "--dry-run")).toEqual({
    code: 0,
    said: "1 letter of orders.events.dlq to orders.events, 1 letter to orders.events.parked.\n",
  });
  await untouched(rig);
});

test.each([
  ["--offset 1", "--offset needs --partition.\n"],
  ["--topic nowhere", "There is no topic nowhere in the log (in memory).\n"],
])("%s makes no sense and is refused", async (option, said) => {
  await using rig = await rigWith([letter(0), letter(1, { redrives: "3" })]);
  expect(await redrive(rig, `--yes ${option}`)).toEqual({ code: 2, said });
  await untouched(rig);
});

test("answers lost, appends refused and late, interruptions: each letter goes back once", async () => {
  let calls = 0;
  const faults = ["ok", "lose-answer", "ok", "land-late", "ok", "reject"] as const;
  await using rig = await rigWith(
    Array.from({ length: 800 }, (_, n) => letter(n, n % 5 ? {} : { redrives: "3" })),
    { ...noFaults, onAppend: (connection) => (connection.startsWith("operation") ? (faults[calls++ % 6] ?? "ok") : "ok") },
  );
  let interruptions = 0;
  for (let wait_ms = 20; ; wait_ms += 20) {
    const { code, said } = await redrive(rig, "--yes --rate 4000", { signal: AbortSignal.timeout(wait_ms) });
    if (code === 0) break;
    expect([130, said]).toEqual([
      code,
      expect.stringMatching(/To go on: bun run redrive --yes --rate 4000 --to 2[^ ]+Z\n$|It was interrupted/),
    ]);
    interruptions++;
  }
  expect(interruptions).toBeGreaterThan(1);
  const all = [...values(await redriven(rig)), ...values(await rig.read(PARKED))];
  expect(all).toHaveLength(800);
  expect(new Set(all)).toEqual(new Set(Array.from({ length: 800 }, (_, n) => `poison ${n}`)));
});

test("a mover that loses, alters, misplaces or doubles a letter is found out; an event that came twice counts once anyway", async () => {
  const event = { ...letter(1), value: encodeEvent(statusUpdated({ status: "shipped" })), key: "ORD-1" };
  const spoils: [spoil: (records: readonly NewRecord[]) => readonly NewRecord[], code: number, said: string][] = [
    [(records) => records, 0, "2 letters went where they should"],
    // The missing record is found out and moved again, in vain.
    [(records) => records.filter(({ value }) => String(value) !== "poison 0"), 1, "1 record had not arrived"],
    [(records) => records.map((record) => ({ ...record, key: "other" })), 1, "changed: orders.events.dlq 0:0"],
    [(records) => records.map((record) => ({ ...record, partition: 3 })), 1, "changed: orders.events.dlq 0:0"],
    [
      (records) => records.map((record) => ({ ...record, headers: record.headers.slice(1) })),
      1,
      "changed: orders.events.dlq 0:0",
    ],
    [
      (records) => [...records, ...records.filter(({ value }) => String(value) === "poison 0")],
      1,
      "changed or repeated: orders.events.dlq 0:0",
    ],
    [
      (records) => [...records, ...records.filter(({ value }) => String(value) !== "poison 0")],
      0,
      "2 letters went where they should",
    ],
  ];
  for (const [spoil, code, said] of spoils) {
    await using rig = await rigWith([letter(0), event]);
    const ran = await redrive(rig, "--yes", { log: spoiled(rig.broker.connect("operation"), spoil) });
    expect(ran).toEqual({ code, said: expect.stringContaining(said) });
  }
});

test("letters that earlier runs took do not hide the others, although they are as many as one run takes", async () => {
  await using rig = await rigWith([0, 1, 2].map((n) => letter(n * PARTITIONS)));
  expect((await redrive(rig)).code).toBe(0);
  await rig.log.producer().append(
    DLQ,
    [3, 4, 5, 6].map((n) => letter(n * PARTITIONS)),
  );
  const order = { topic: TOPIC, deadLetterTopic: DLQ, parkingTopic: PARKED, selection: {}, redrives_max: 3 };
  let places: string[] = [];
  const { said } = await rig.run(async (_, { env, console }) => {
    places = [...(await planRedrive(env, console, order, 2)).planned.keys()];
    return 0;
  }, "");
  expect(places).toEqual(["0:3"]);
  expect(said).toContain("Redriven before, each once: 3 letters.");
  expect(said).toContain("There are more than these: once these were redriven, the same command again takes the others.");
});
