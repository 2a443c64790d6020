import { describe, expect, test } from "bun:test";
import { absentTopic } from "../../../src/tools/audit/absent-topic.ts";
import { audit, type AuditOptions, type Finding } from "../../../src/tools/audit/audit.ts";
import type { HeldPartition, OrderServiceClient, ServiceRow } from "../../../src/tools/audit/order-service-client.ts";
import { ReferenceFold } from "../../../src/tools/audit/reference-fold.ts";
import { table } from "../../../src/tools/audit/table.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { readConfig } from "../../../src/config/config.ts";
import type { NewRecord } from "../../../src/log/port.ts";
import { orderJson } from "../../../src/orders/order.ts";
import { MemoryBroker, type MemoryFaults, noFaults } from "../../log/memory/memory-log.ts";
import { anOrder, orderCreated, recordOf, statusUpdated } from "../../support/events/orders.ts";

const TOPIC = "orders.events";
/** A clock with which waits are over at once. */
const clock = { ...systemClock, now_ms: () => systemClock.now_ms() * 1_000, sleep: () => systemClock.sleep(1) };

async function opened(partitions: number, faults: Partial<MemoryFaults> = {}) {
  const broker = new MemoryBroker({
    clock: systemClock,
    newUuid: () => crypto.randomUUID(),
    faults: { ...noFaults, ...faults },
  });
  const log = broker.connect("audit");
  await log.createTopic(TOPIC, partitions);
  const append = (...records: NewRecord[]) => log.producer().append(TOPIC, records);
  const run = async (
    held: readonly Partial<HeldPartition>[],
    more: Partial<AuditOptions> = {},
    rows: readonly ServiceRow[] = [],
  ): Promise<Finding[]> => {
    const service: OrderServiceClient = {
      url: "http://orders",
      partitions: async () => ({
        topicName: TOPIC,
        partitionCount: partitions,
        partitions: held.map((one, partition) => ({ partition, state: "running", offset: 0, ...one })),
      }),
      rows: async (_, after) => ({ offset: 0, orders: after === "" ? rows : [] }),
      rebuild: async () => undefined,
    };
    const options = {
      log,
      topic: TOPIC,
      services: [service],
      allRows: false,
      acceptsLateStart: false,
      records_per_s_max: 0,
      clock,
    };
    return Array.fromAsync(audit({ ...options, onProgress: () => undefined, ...more }));
  };
  /** The digest of what the log has now. */
  const digest = async (from = 0): Promise<string> => {
    const fold = new ReferenceFold();
    const [result] = await log.reader(TOPIC).fetch(new Map([[0, from]]), { wait_ms_max: 1, partition_bytes_max: 1 << 20 });
    if (result && "batch" in result) for (const one of result.batch.records) fold.apply(one);
    return fold.digest();
  };
  return { broker, log, append, run, digest };
}

/** A service's row for an order that `orderCreated` makes. */
const row = (orderId: string, ...eventIds: string[]): ServiceRow => ({
  orderId,
  order: JSON.parse(orderJson(anOrder({ orderId, status: "shipped" }))) as ServiceRow["order"],
  held: [],
  eventIds,
});

const events = [
  recordOf(orderCreated({ eventId: "c1" })),
  recordOf(statusUpdated({ eventId: "u1", status: "shipped" })),
  recordOf(orderCreated({ orderId: "ORD-2", eventId: "c2" })),
];

describe("an audit", () => {
  test("is told of all partitions by one service, and names who holds each", async () => {
    const { append, run, digest } = await opened(1);
    await append(...events);
    const [finding] = await run([{ offset: 3, digest: await digest(), owner: "http://another" }]);
    expect(finding).toMatchObject({ holder: "http://another", differences: [] });
    expect(table([finding!])).toContain("http://another");
  });

  test("agrees where all of the log was folded", async () => {
    const { append, run, digest } = await opened(1);
    await append(...events);
    const [found] = await run([{ offset: 3, digest: await digest(), startedAt: 0 }]);
    expect(found).toMatchObject({ differences: [], notes: [], orders: 2 });
  });

  test("does not call it agreement where the log has lost its first records, unless that was accepted", async () => {
    const { log, append, run, digest } = await opened(1);
    await append(...events);
    await log.deleteRecords(TOPIC, 0, 2);
    const missing =
      "it was folded from offset 2 on, and the log begins at offset 2: what orders.events had before offset 2 is missing and cannot be compared";
    const late = { offset: 3, digest: await digest(2), startedAt: 2 };
    expect(await run([late])).toMatchObject([{ differences: [missing], canRebuild: false }]);
    const accepted = await run([late], { acceptsLateStart: true });
    expect(accepted).toMatchObject([{ differences: [], notes: [missing] }]);
    expect(table(accepted)).toContain(`agrees, see below\npartition 0: ${missing}\n`);
    // This service does not tell where it began.
    expect(await run([{ offset: 3, digest: await digest(2) }])).toMatchObject([
      { differences: [expect.stringContaining("the log begins at offset 2")] },
    ]);
  });

  test("says that the log has lost records, and what, where the state has more, and counts no order that has only updates", async () => {
    const { broker, append, run } = await opened(1);
    // This is what compaction leaves: the create is gone, and the log still begins at offset 0.
    broker.topics.openTransaction(TOPIC, [recordOf(orderCreated({ eventId: "c1" }))]).end(false);
    await append(recordOf(statusUpdated({ eventId: "u1", status: "shipped" })));
    const [found] = await run([{ offset: 3, digest: "of the state" }], {}, [row("ORD-1", "c1", "u1"), row("ORD-2", "c2")]);
    expect(found?.differences[0]).toBe(
      "the state has 2 orders and 2 events that the log does not have: the log has lost records, or the state was changed by hand; the log begins at offset 0, and has no record before offset 2: they were compacted away, or are of a transaction that was aborted",
    );
    expect(found).toMatchObject({ orders: 0, canRebuild: true, losses: found?.differences[0] });
    expect(found?.differences).toContain("ORD-2 is held and is not in the log");
  });

  test("takes a row that differs, and has no event that the log has not, for one that can be rebuilt", async () => {
    const { append, run } = await opened(1);
    await append(recordOf(orderCreated({ eventId: "c1" })));
    expect(await run([{ offset: 1, digest: "of the state" }], {}, [row("ORD-1", "c1")])).toMatchObject([
      { differences: ['ORD-1 has status "shipped", and should have "new"'], canRebuild: true, losses: undefined, orders: 1 },
    ]);
  });

  test("names a gap at the log's start where all agrees, and a topic that is compacted", async () => {
    const { broker, log, append, run, digest } = await opened(1);
    broker.topics.openTransaction(TOPIC, events.slice(0, 2)).end(false);
    await append(...events);
    const described = log.describe.bind(log);
    log.describe = async (topic) => {
      const description = await described(topic);
      return description && { ...description, settings: { "cleanup.policy": "compact,delete" } };
    };
    expect(await run([{ offset: 6, digest: await digest() }])).toMatchObject([
      {
        differences: [],
        notes: [
          "the log begins at offset 0, and has no record before offset 3: the topic is compacted (cleanup.policy=compact,delete), so a record goes once a later one has its key",
        ],
        losses: expect.stringContaining("compacted"),
      },
    ]);
  });

  test("never has a partition rebuilt of which the log has less than was applied", async () => {
    const { append, run } = await opened(1);
    await append(...events);
    expect(await run([{ offset: 5, digest: "x" }])).toMatchObject([{ canRebuild: false }]);
  });

  test("counts a batch that cannot be decoded as one dead letter", async () => {
    const { broker, append, run, digest } = await opened(1);
    await append(...events);
    broker.topics.landUndecodable(TOPIC, 0, 5, "It is none.");
    const [found] = await run([{ offset: 8, digest: await digest() }]);
    expect(found).toMatchObject({ differences: [], deadLetters: 1 });
  });

  test("names a partition that the log does not give, and compares the others", async () => {
    const { append, run, digest } = await opened(2, { leader: (_, partition) => (partition === 1 ? "none" : "ok") });
    await append(...events);
    const agrees = await digest();
    expect(
      await run([
        { offset: 3, digest: agrees },
        { offset: 1, digest: agrees },
      ]),
    ).toMatchObject([
      { differences: [] },
      { differences: ["the log does not give it now: The partition orders.events-1 has no leader now."] },
    ]);
  });

  test("names services that do not go on, also where what they have agrees", async () => {
    const { append, run, digest } = await opened(3);
    await append(...events);
    const empty = new ReferenceFold().digest();
    const found = await run([
      { offset: 3, digest: await digest(), state: "blocked", reason: "Dead letters cannot be appended." },
      { state: "suspended", reason: "Its store is locked." },
      { digest: empty, state: "halted", halted: "The log is another one." },
    ]);
    expect(found).toMatchObject([
      { differences: [], notes: ["it is blocked at http://orders: Dead letters cannot be appended."] },
      { differences: ["it is suspended at http://orders and has no digest yet: Its store is locked."] },
      { differences: ["it is halted at http://orders: The log is another one."] },
    ]);
  });

  test("says which partitions differ and which could not be compared, such as one that is being rebuilt", async () => {
    const { append, run, digest } = await opened(3);
    await append(...events);
    const held = [
      { offset: 3, digest: await digest() },
      { state: "catching-up", reason: "It is rebuilt from the log." },
      { digest: "0123456789abc" },
    ];
    const compared = (text: string) => [
      ...text
        .split("\n")
        .slice(1, 1 + held.length)
        .map((line) => line.split(/ {2,}/))
        .map((cells) => [cells[3], cells.at(-1)]),
      text.split("\n").at(-1),
    ];
    const orders = "3 partitions, 2 orders:";
    expect(compared(table(await run(held)))).toEqual([
      ["2", "agrees"],
      ["-", "not compared, see below"],
      ["0", "DIFFERS, see below"],
      `${orders} 1 differs, 1 could not be compared.`,
    ]);
    expect(compared(table(await run([held[0]!, held[2]!, held[2]!]))).at(-1)).toBe(`${orders} 2 differ.`);
    expect(compared(table(await run([held[0]!, held[1]!, held[1]!]))).at(-1)).toBe(`${orders} 2 could not be compared.`);
  });

  test.each([
    ["whose leader lost records and has others", 1, "it has another record at offset 2"],
    ["that was made anew", undefined, "was deleted and made anew"],
  ])("notices a topic %s while it is read", async (_, lostFrom, why) => {
    const { broker, log, append, run } = await opened(1);
    await append(...events);
    const reader = (topic: string) => {
      const found = log.reader(topic);
      let fetches = 0;
      return {
        isThrottled: false,
        close: () => found.close(),
        fetch: async (...args: Parameters<typeof found.fetch>) => {
          if (++fetches === 2) {
            if (lostFrom !== undefined) broker.topics.elect(TOPIC, 0, lostFrom);
            else {
              broker.topics.deleteTopic(TOPIC);
              await log.createTopic(TOPIC, 1);
            }
            await append(...events, ...events);
          }
          return found.fetch(...args);
        },
      };
    };
    const changed = new Proxy(log, {
      get: (target, name) => {
        const value: unknown = name === "reader" ? reader : Reflect.get(target, name, target);
        return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
      },
    });
    expect(await run([{ offset: 5, digest: "x" }], { log: changed })).toMatchObject([
      { differences: [expect.stringContaining(why)] },
    ]);
  });

  test("ends, naming the place, where the log does not have what was applied", async () => {
    const { append, run } = await opened(1);
    await append(...events);
    expect(await run([{ offset: 5, digest: "x" }])).toMatchObject([
      { differences: ["orders.events-0 gives nothing at offset 3, before 5, which was applied."] },
    ]);
  });
});

test("an absent topic is named with the brokers that do not have it", () => {
  expect(absentTopic(readConfig({ KAFKA_BROKERS: "a:1,b:2", ORDERS_TOPIC: "nowhere" })).message).toBe(
    "There is no topic nowhere in the log (Kafka at a:1,b:2): nothing was compared.",
  );
});
