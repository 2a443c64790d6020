import { describe, expect, test } from "bun:test";
import { DEAD_LETTER_HEADERS } from "../../src/log/record-headers.ts";
import { HELD_UPDATES_MAX } from "../../src/orders/outcomes.ts";
import { brokerSuite } from "../support/brokers/broker.ts";
import {
  type Backing,
  brokerBacking,
  embeddedBacking,
  type ForeignMessage,
  type ForeignRecord,
  readAll,
  totalLength,
} from "../support/brokers/foreign.ts";
import { pythonCreate, pythonUpdate } from "../support/events/python-events.ts";
import { orderDetails } from "../support/http/http.ts";
import { startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";
import { headerOf } from "../support/cluster/letters.ts";

const TIMEOUT_MS = 90_000;
const ORDER = "ORD-5";

type Wire = Record<string, unknown> & { order: Record<string, unknown> & { items: Record<string, unknown>[] } };

/** A valid create of ORDER that was then spoilt. */
function spoilt(spoil: (event: Wire) => void): string {
  const event = JSON.parse(pythonCreate(ORDER)) as Wire;
  spoil(event);
  return JSON.stringify(event);
}

interface Poison {
  readonly what: string;
  readonly reason: string;
  readonly value: string | Buffer | null;
  readonly key?: string | Buffer | null;
}

const poisons: readonly Poison[] = [
  { what: "not JSON", reason: "not_json", value: "not json" },
  { what: "JSON cut short", reason: "not_json", value: pythonCreate(ORDER).slice(0, -1) },
  { what: "invalid UTF-8", reason: "invalid_utf8", value: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]) },
  { what: "a list", reason: "wrong_shape", value: "[1]" },
  { what: "null in JSON", reason: "wrong_shape", value: "null" },
  { what: "no order", reason: "wrong_shape", value: spoilt((event) => delete (event as Partial<Wire>).order) },
  { what: "items that are no list", reason: "wrong_shape", value: spoilt((event) => Object.assign(event.order, { items: {} })) },
  { what: "an unknown event_type", reason: "unknown_event_type", value: spoilt((event) => (event["event_type"] = "ORDER_LOST")) },
  { what: "no value", reason: "null_value", value: null },
  { what: "an empty value", reason: "empty_value", value: "" },
  { what: "a key that is not the order_id", reason: "key_mismatch", key: "ORD-6", value: pythonCreate(ORDER) },
  { what: "no key", reason: "key_mismatch", key: null, value: pythonCreate(ORDER) },
  { what: "a key of other bytes", reason: "key_mismatch", key: Buffer.from([0, 0xff]), value: pythonCreate(ORDER) },
  { what: "a negative total", reason: "invalid_number", value: spoilt(({ order }) => (order["total_amount"] = -1)) },
  { what: "a total of 1e300", reason: "invalid_number", value: spoilt(({ order }) => (order["total_amount"] = 1e300)) },
  { what: "a total in quotes", reason: "invalid_number", value: spoilt(({ order }) => (order["total_amount"] = "1")) },
  {
    what: "a total beyond a double",
    reason: "invalid_number",
    value: pythonCreate(ORDER).replace("1235.4299999999998", "1e999"),
  },
  { what: "a negative quantity", reason: "invalid_number", value: spoilt(({ order }) => (order.items[0]!["quantity"] = -3)) },
  { what: "half a piece", reason: "invalid_number", value: spoilt(({ order }) => (order.items[0]!["quantity"] = 0.5)) },
  { what: "a negative price", reason: "invalid_number", value: spoilt(({ order }) => (order.items[0]!["price"] = -0.01)) },
  { what: "1 MB of brackets, never closed", reason: "not_json", value: "[".repeat(1_000_000) },
  { what: "1 MB of nesting", reason: "wrong_shape", value: "[".repeat(500_000) + "]".repeat(500_000) },
  { what: "no event_id", reason: "missing_event_id", value: spoilt((event) => delete event["event_id"]) },
  { what: "an empty event_id", reason: "missing_event_id", value: spoilt((event) => (event["event_id"] = "")) },
  { what: "an order_id of letters", reason: "invalid_order_id", value: spoilt((event) => (event["order_id"] = "ORD-x")) },
  { what: "a date that is none", reason: "invalid_date", value: spoilt((event) => (event["timestamp"] = "2026-02-30T00:00:00")) },
  { what: "an unknown status", reason: "invalid_status", value: pythonUpdate(ORDER, "lost") },
];

const origin = (letter: ForeignRecord) =>
  `${headerOf(letter, DEAD_LETTER_HEADERS.partition)}:${headerOf(letter, DEAD_LETTER_HEADERS.offset)}`;
const bytesOf = (given: string | Buffer | null | undefined) =>
  given === null || given === undefined ? null : Buffer.from(given);

const start = ({ env, dataDir }: Backing, role: "both" | "consumer" = "both", more: Record<string, string> = {}) =>
  startProgram({ role, env: { ...env, ...more }, dataDir });

function poisonSuite(open: () => Promise<Backing>): void {
  test(
    "each kind of poison is a dead letter once, as it was, and what follows it is applied; a rebuild adds none",
    async () => {
      await using backing = await open();
      const partition = 3;
      {
        await using program = await start(backing);
        await program.ready();
        for (const [i, { key = ORDER, value }] of poisons.entries()) {
          const followingId = `ORD-9${i}`;
          await backing.produce([
            { partition, key, value, headers: { mine: ["1", "2"], bytes: Buffer.from([0xff, 0, 0x80]) } },
            { partition, key: followingId, value: pythonCreate(followingId) },
          ]);
        }
        for (const [i, { what }] of poisons.entries()) {
          await waitUntil(`the order after ${what}`, async () => (await orderDetails(program.orderUrl, `9${i}`)).status === 200);
        }
        expect((await orderDetails(program.orderUrl, ORDER)).status).toBe(404);
        program.kill("SIGKILL");
        await program.exited();
      }
      const letters = await readAll(backing.log, backing.deadLetterTopic);
      expect(letters).toHaveLength(poisons.length);
      for (const [i, { what, reason, key = ORDER, value }] of poisons.entries()) {
        const letter = letters.find((one) => origin(one) === `${partition}:${2 * i}`);
        if (!letter) throw new Error(`No dead letter for ${what}.`);
        expect([what, headerOf(letter, DEAD_LETTER_HEADERS.reason)]).toEqual([what, reason]);
        expect(headerOf(letter, DEAD_LETTER_HEADERS.topic)).toBe(backing.topic);
        expect(headerOf(letter, DEAD_LETTER_HEADERS.detail)).toMatch(/.+/);
        // The values are compared as bytes, so that a failure prints no diff of a megabyte.
        expect([what, Bun.deepEquals(letter.value, bytesOf(value)), Bun.deepEquals(letter.key, bytesOf(key))]).toEqual([
          what,
          true,
          true,
        ]);
        expect(letter.headers.slice(0, 3)).toEqual([
          ["mine", "1"],
          ["mine", "2"],
          ["bytes", "\xff\0\x80"],
        ]);
        expect(letter.headers).toHaveLength(3 + Object.keys(DEAD_LETTER_HEADERS).length);
      }

      await backing.forgetState();
      await using rebuilt = await start(backing, "both", { CONSUMER_GROUP: `rebuilt.${backing.topic}` });
      await rebuilt.ready();
      // One more poison shows that the rebuilt program works on dead letters, and adds only its own letter.
      await backing.produce([{ partition, key: ORDER, value: "one more" }]);
      await waitUntil("the new dead letter", async () => {
        const now = await readAll(backing.log, backing.deadLetterTopic);
        return now.some((letter) => String(letter.value) === "one more");
      });
      const after = await readAll(backing.log, backing.deadLetterTopic);
      expect(after.map(origin).toSorted()).toEqual([...letters.map(origin), `${partition}:${2 * poisons.length}`].toSorted());
      expect((await orderDetails(rebuilt.orderUrl, `9${poisons.length - 1}`)).status).toBe(200);
    },
    TIMEOUT_MS,
  );

  test(
    "killed with SIGKILL in the middle of many poison records and started anew, each offset is a dead letter exactly once",
    async () => {
      await using backing = await open();
      await backing.log.createTopic(backing.topic, 4);
      const killsWanted = 4;
      const perRound = 25;
      let kills = 0;
      let rounds = 0;
      const produced = (async () => {
        // There is always more to come while the program is killed, and some more after the last kill.
        for (let left = 10; left > 0 && rounds < 1_000; kills < killsWanted || left--) {
          const round = rounds++;
          const messages = Array.from({ length: perRound }, (_, i): ForeignMessage => {
            const n = round * perRound + i;
            return { partition: n % 4, key: `ORD-${n}`, value: n % 5 === 4 ? pythonCreate(`ORD-${n}`) : `poison ${n}` };
          });
          await backing.produce(messages);
          await Bun.sleep(40);
        }
      })();
      // A topic just created has no leader for a moment.
      const lettersSoFar = () => totalLength(backing.log, backing.deadLetterTopic).catch(() => 0);
      for (; kills < killsWanted; kills++) {
        // Each program has a group of its own, so the next is at work at once while the killed one's transaction is
        // open.
        await using program = await start(backing, "consumer", { CONSUMER_GROUP: `${backing.topic}.${kills}` });
        await program.live();
        const before = await lettersSoFar();
        await waitUntil("more dead letters", async () => (await lettersSoFar()) > before + 30 * kills);
        program.kill("SIGKILL");
        await program.exited();
      }
      await produced;
      await using last = await start(backing, "consumer", { CONSUMER_GROUP: `${backing.topic}.last` });
      await last.ready();
      for (let n = 4; n < rounds * perRound; n += 5 * 37) expect((await orderDetails(last.orderUrl, `${n}`)).status).toBe(200);
      const sent = await readAll(backing.log, backing.topic);
      const expected = sent.filter(({ value }) => String(value).startsWith("poison"));
      // kafkajs may resend a batch whose answer it did not get, which adds a record with a letter of its own.
      expect(new Set(expected.map(({ value }) => String(value))).size).toBe((rounds * perRound * 4) / 5);
      const letters = await readAll(backing.log, backing.deadLetterTopic);
      expect(letters.map((letter) => `${origin(letter)} ${String(letter.value)}`).toSorted()).toEqual(
        expected.map(({ partition, offset, value }) => `${partition}:${offset} ${String(value)}`).toSorted(),
      );
    },
    TIMEOUT_MS,
  );

  test(
    "the update that finds the held ones full is a dead letter; the create then has the status of the last held one",
    async () => {
      await using backing = await open();
      await using program = await start(backing);
      await program.ready();
      const partition = 7;
      const update = (status: string) => ({ partition, key: ORDER, value: pythonUpdate(ORDER, status) });
      const fitting = Array.from({ length: HELD_UPDATES_MAX - 1 }, () => update("pending"));
      expect(HELD_UPDATES_MAX).toBe(100);
      const overflow = update("cancelled");
      await backing.produce([...fitting, update("shipped"), overflow]);
      await backing.produce([{ partition, key: ORDER, value: pythonCreate(ORDER) }]);
      const details = await waitUntil("the order", async () => {
        const answer = await orderDetails(program.orderUrl, ORDER);
        return answer.status === 200 && answer.body;
      });
      expect(details.order?.status).toBe("shipped");
      const letters = await readAll(backing.log, backing.deadLetterTopic);
      expect(
        letters.map((letter) => [String(letter.value), headerOf(letter, DEAD_LETTER_HEADERS.reason), origin(letter)]),
      ).toEqual([[overflow.value, "held_overflow", `${partition}:${HELD_UPDATES_MAX}`]]);
    },
    TIMEOUT_MS,
  );
}

describe("dead letters on the embedded log", () => poisonSuite(() => embeddedBacking()));

await brokerSuite("dead letters", ({ brokers }) => poisonSuite(() => brokerBacking(brokers)));
