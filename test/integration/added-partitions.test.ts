import { expect, test } from "bun:test";
import { partitionFor } from "../../src/log/partitioner.ts";
import { brokerSuite } from "../support/brokers/broker.ts";
import { type Backing, brokerBacking } from "../support/brokers/foreign.ts";
import { createOrder, orderDetails } from "../support/http/http.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 90_000;
/**
 * The times relate as in production but are shorter: the settling takes longer than APPEND_WAIT_MS_MAX and the
 * 2.5 s for which a cart trusts a count.
 */
const SETTINGS = { TOPIC_PARTITIONS: "3", APPEND_WAIT_MS_MAX: "1500", PARTITIONS_SETTLE_MS: "6000" };
const COUNT = 8;
const items = [{ item_id: "I", quantity: 1, price: 1 }];

const start = (backing: Backing) => startProgram({ role: "producer", env: backing.env });

/** Creates new orders through both carts at the same time, each order once through each, until told to stop. */
class Races {
  readonly winners = new Map<string, string>();
  readonly twice: string[] = [];
  readonly partitions = new Set<number>();
  #next = 0;

  constructor(
    private readonly a: Program,
    private readonly b: Program,
  ) {}

  async run(isOver: () => boolean): Promise<void> {
    const worker = async () => {
      while (!isOver()) await this.race(String(this.#next++));
    };
    await Promise.all(Array.from({ length: 10 }, worker));
  }

  async race(order_id: string): Promise<void> {
    const create = async (url: string, customer_id: string) => {
      const { status, headers } = await createOrder(url, { order_id, customer_id, items });
      expect([200, 409, 503]).toContain(status);
      if (status !== 200) return;
      if (this.winners.has(order_id)) this.twice.push(order_id);
      this.winners.set(order_id, customer_id);
      this.partitions.add(Number(headers.get("log-position")?.split(":")[0]));
    };
    const asked = [() => create(this.a.cartUrl, "A"), () => create(this.b.cartUrl, "B")];
    // The two carts take turns at being asked first.
    if (this.#next % 2 === 0) asked.reverse();
    await Promise.all(asked.map((ask) => ask()));
  }

  get haveAllWon(): boolean {
    return new Set(this.winners.values()).size === 2;
  }
}

async function expectWinnersStored(backing: Backing, winners: ReadonlyMap<string, string>): Promise<void> {
  await using consumer = await startProgram({ role: "consumer", env: backing.env });
  await consumer.ready();
  const wrong: string[] = [];
  for (const [id, customer] of winners) {
    const { body } = await orderDetails(consumer.orderUrl, id);
    if (body.order?.customerId !== customer) wrong.push(`${id}: ${body.order?.customerId}, not ${customer}`);
  }
  expect(wrong).toEqual([]);
}

await brokerSuite("partitions are added while carts take creates", ({ brokers }) => {
  test(
    "no order is created twice, by a cart from before and one from after, and in the end all partitions are used",
    async () => {
      await using backing = await brokerBacking(brokers, SETTINGS);
      await using before = await start(backing);
      await before.ready();
      expect((await createOrder(before.cartUrl, { order_id: "900000", items })).status).toBe(200);
      await backing.log.addPartitions(backing.topic, COUNT);
      await using after = await start(backing);
      await after.live();
      const races = new Races(before, after);
      let isOver = false;
      const running = races.run(() => isOver);
      await after.ready();
      await waitUntil("creates in all partitions, and by both carts", () => races.partitions.size === COUNT && races.haveAllWon, {
        wait_ms_max: 20_000,
      });
      isOver = true;
      await running;
      expect(races.twice).toEqual([]);
      await expectWinnersStored(backing, races.winners);
    },
    TIMEOUT_MS,
  );

  test(
    "a cart that stood still all the while does not create by the old count when it wakes up",
    async () => {
      await using backing = await brokerBacking(brokers, SETTINGS);
      await using asleep = await start(backing);
      await asleep.ready();
      await using awake = await start(backing);
      await awake.ready();
      asleep.kill("SIGSTOP");
      await backing.log.addPartitions(backing.topic, COUNT);
      const moved = Array.from({ length: 2_000 }, (_, n) => `ORD-${n}`).filter(
        (id) => partitionFor("murmur2", id, 3) !== partitionFor("murmur2", id, COUNT),
      );
      const byNewCount = async () => {
        const id = moved.pop() ?? "";
        const { headers } = await createOrder(awake.cartUrl, { order_id: id, items });
        return headers.get("log-position")?.startsWith(`${partitionFor("murmur2", id, COUNT)}:`) ?? false;
      };
      await waitUntil("the other cart to place by the new count", byNewCount, { wait_ms_max: 20_000 });
      // When the sleeper wakes, these requests are waiting for it, and it still knows only the topic's old count.
      const races = new Races(asleep, awake);
      const racing = Promise.all(moved.slice(0, 100).map((id) => races.race(id)));
      await Bun.sleep(300);
      asleep.kill("SIGCONT");
      await racing;
      expect(races.twice).toEqual([]);
      expect(races.winners.size).toBe(100);
      await expectWinnersStored(backing, races.winners);
    },
    TIMEOUT_MS,
  );
});
