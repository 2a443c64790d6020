import { expect, test } from "bun:test";
import { brokerSuite } from "../support/brokers/broker.ts";
import { CreateLoad } from "../support/cluster/create-load.ts";
import type { OrdersTopic } from "../support/cluster/orders-topic.ts";
import { createOrder, orderDetails, updateOrder } from "../support/http/http.ts";
import { type Held, type Standing, standing } from "../support/programs/standing.ts";
import { PARTITIONS, threeWithStandbys } from "../support/programs/three-with-standbys.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 180_000;
const SESSION_MS = 6_000;
/** The session, the others' next heartbeat, and the taking over. */
const GAP_MS_MAX = SESSION_MS + 1_000;
/** From the group's word to answering. */
const TAKING_OVER_MS_MAX = 1_000;
/** By then a standby has what its owner has. */
const KNOWN_MS = 1_000;
/** How many reads wait for a stopped process, which answers them as soon as it goes on. */
const WAITING_READS = 50;

const numbers = (held: readonly Held[]) => held.map(({ partition }) => partition);

/** When the program was last told what it owns, on the wall clock. */
const toldAt_ms = (program: Program): number => {
  const lines = program
    .output()
    .split("\n")
    .filter((line) => line.includes("partitions assigned"));
  return Date.parse((JSON.parse(lines.at(-1) ?? "{}") as { readonly time: string }).time);
};

/** Creates an order in the partition; resolves with its id and the headers with which it can be read. */
async function createIn(cart: Program, orders: OrdersTopic, partition: number) {
  const order_id = orders.newOrder(partition);
  const { status, headers } = await createOrder(cart.cartUrl, { order_id, number_of_items: 1 });
  expect(status).toBe(200);
  return { order_id, position: { "log-position": headers.get("log-position") ?? "" } };
}

/** Creates an order in the partition and reads it until that is answered; resolves with when that was. */
async function readInTime(cart: Program, orders: OrdersTopic, partition: number, asked: Program): Promise<number> {
  const { order_id, position } = await createIn(cart, orders, partition);
  for (;;) {
    const answer = await orderDetails(asked.orderUrl, order_id, position);
    if (answer.status === 200) return Date.now();
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, expect.any(String)]);
    await Bun.sleep(20);
  }
}

/** What a plain read was told: the status, whether it is marked as stale, and how long it took. */
interface PlainRead {
  readonly status: number;
  readonly isStale: boolean;
  readonly took_ms: number;
}

/** Clients that read the orders without a position, one after the other, until `end`. */
class PlainReads {
  readonly told: PlainRead[] = [];
  #isOn = true;
  readonly #running: Promise<void>[];

  constructor(services: readonly Program[], orderIds: readonly string[]) {
    const one = async (service: Program, orderId: string): Promise<void> => {
      while (this.#isOn) {
        const asked_ms = performance.now();
        const { status, headers } = await orderDetails(service.orderUrl, orderId);
        this.told.push({ status, isStale: headers.has("age"), took_ms: performance.now() - asked_ms });
        await Bun.sleep(10);
      }
    };
    this.#running = services.flatMap((service) => orderIds.map((orderId) => one(service, orderId)));
  }

  async end(): Promise<void> {
    this.#isOn = false;
    await Promise.all(this.#running);
  }
}

await brokerSuite("order services with a standby for each partition", ({ brokers }) => {
  test(
    "an owner is killed under load: its partitions' standbys answer strict reads within the session and a second, without a rebuild, and plain reads throughout",
    async () => {
      await using dirs = new AsyncDisposableStack();
      const { orders, cart, services } = await threeWithStandbys(brokers, dirs);
      await using load = new CreateLoad(cart, orders, 2);
      await waitUntil("some orders", () => load.acknowledged.length > 1_000, { wait_ms_max: 30_000 });

      const [first, second, killed] = services;
      const lost = numbers((await standing(killed)).partitions);
      const known = await Promise.all(lost.map((partition) => createIn(cart, orders, partition)));
      for (const { order_id, position } of known)
        expect((await orderDetails(first.orderUrl, order_id, position)).status).toBe(200);
      await Bun.sleep(KNOWN_MS);
      const plain = new PlainReads(
        [first, second],
        known.map(({ order_id }) => order_id),
      );
      killed.kill("SIGKILL");
      const killedAt_ms = Date.now();
      const readAgain = await Promise.all(lost.map((partition) => readInTime(cart, orders, partition, first)));
      const gap_ms = Math.max(...readAgain) - killedAt_ms;
      const takingOver_ms = Math.max(...readAgain) - Math.max(toldAt_ms(first), toldAt_ms(second));
      console.log(`strict reads after ${gap_ms} ms, ${takingOver_ms} ms after the group's word`);
      expect(gap_ms).toBeLessThan(GAP_MS_MAX);
      expect(takingOver_ms).toBeLessThan(TAKING_OVER_MS_MAX);
      await Bun.sleep(1_000);
      await plain.end();
      await load.end();
      const stale = plain.told.filter(({ isStale }) => isStale);
      const longest_ms = Math.max(...plain.told.map(({ took_ms }) => took_ms));
      console.log(`${plain.told.length} plain reads, ${stale.length} of them stale; the longest took ${longest_ms} ms`);
      expect(plain.told.filter(({ status }) => status !== 200)).toEqual([]);
      expect(stale.length).toBeGreaterThan(0);

      const held = await Promise.all([first, second].map(standing));
      expect(numbers(held.flatMap(({ partitions }) => partitions)).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
      for (const service of [first, second]) {
        const metrics = await (await fetch(`${service.orderUrl}/metrics`)).text();
        // Each has begun its own partitions and those that it was asked to follow, and nothing since.
        expect(metrics).not.toMatch(/^orders_new_stores_total\{[^}]*\} [2-9]/m);
      }
      await waitUntil(
        "owners and standbys to have the same rows",
        async () => {
          const [one, other] = (await Promise.all([first, second].map(standing))) as [Standing, Standing];
          const all = [...one.partitions, ...other.partitions];
          const followed = [...(one.standbys ?? []), ...(other.standbys ?? [])];
          const same = all.filter((owned) =>
            followed.some(
              ({ partition, digest, offset }) =>
                partition === owned.partition && digest === owned.digest && offset === owned.offset,
            ),
          );
          return same.length === PARTITIONS;
        },
        { wait_ms_max: 20_000 },
      );
    },
    TIMEOUT_MS,
  );

  test(
    "an owner is killed while others join, one after the other: no join begins its session anew",
    async () => {
      await using dirs = new AsyncDisposableStack();
      const { orders, cart, services, env } = await threeWithStandbys(brokers, dirs);
      const [first, , killed] = services;
      const lost = numbers((await standing(killed)).partitions);
      killed.kill("SIGKILL");
      const killedAt_ms = Date.now();
      const join = async (): Promise<void> => {
        for (let n = 0; n < 3; n++) {
          const joined = await startProgram({ role: "consumer", env });
          await dirs.use(joined).live();
          await Bun.sleep(3_000);
        }
      };
      const [readAgain] = await Promise.all([
        Promise.all(lost.map((partition) => readInTime(cart, orders, partition, first))),
        join(),
      ]);
      const gap_ms = Math.max(...readAgain) - killedAt_ms;
      console.log(`strict reads after ${gap_ms} ms`);
      expect(gap_ms).toBeLessThan(GAP_MS_MAX);
    },
    TIMEOUT_MS,
  );

  test(
    "an owner is stopped for longer than its session and goes on: it tells nothing old unmarked",
    async () => {
      await using dirs = new AsyncDisposableStack();
      const { orders, cart, services } = await threeWithStandbys(brokers, dirs);
      const [first, , stopped] = services;
      const [partition = 0] = numbers((await standing(stopped)).partitions);
      const { order_id, position } = await createIn(cart, orders, partition);
      expect((await orderDetails(stopped.orderUrl, order_id, position)).status).toBe(200);
      stopped.kill("SIGSTOP");
      const { headers } = await updateOrder(cart.cartUrl, { order_id, status: "shipped" });
      const updated = { "log-position": headers.get("log-position") ?? "" };
      await waitUntil("the next owner", async () => (await orderDetails(first.orderUrl, order_id, updated)).status === 200, {
        wait_ms_max: 30_000,
      });
      const told: { readonly status: string | undefined; readonly age: string | null }[] = [];
      const read = async (): Promise<void> => {
        const { status, body, headers: marks } = await orderDetails(stopped.orderUrl, order_id);
        if (status === 200) told.push({ status: body.order?.status, age: marks.get("age") });
        else expect(marks.has("retry-after")).toBe(true);
      };
      const waiting = Array.from({ length: WAITING_READS }, read);
      await Bun.sleep(200);
      stopped.kill("SIGCONT");
      await Promise.all(waiting);
      const until_ms = performance.now() + GAP_MS_MAX;
      while (performance.now() < until_ms) await read().then(() => Bun.sleep(20));
      const old = told.filter(({ status }) => status !== "shipped");
      console.log(`${told.length} answers after it went on, ${old.length} of them old: ${old.map(({ age }) => age).join()}`);
      expect(old.filter(({ age }) => age === null)).toEqual([]);
      expect(told.at(-1)).toEqual({ status: "shipped", age: null });
    },
    TIMEOUT_MS,
  );
});
