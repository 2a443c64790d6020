import { expect, test } from "bun:test";
import { brokerSuite } from "../support/brokers/broker.ts";
import { CreateLoad } from "../support/cluster/create-load.ts";
import { health } from "../support/cluster/orders-topic.ts";
import { createOrder, orderDetails } from "../support/http/http.ts";
import { threeWithStandbys } from "../support/programs/three-with-standbys.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 120_000;
/** Before partitions were handed over, it was 0.9 to 2 s; now it is the taking over alone, 0.04 to 0.2 s. */
const GAP_MS_MAX = 700;

/** For how long an order of each partition was not told, at the longest, by whom it is asked again and again. */
class Gaps {
  longest_ms = 0;
  #isOver = false;
  readonly #running: Promise<void>[];

  constructor(url: string, orderIds: readonly string[]) {
    this.#running = orderIds.map(async (orderId) => {
      let lastGood_ms = performance.now();
      while (!this.#isOver) {
        const asked_ms = performance.now();
        const { status } = await orderDetails(url, orderId);
        if (status === 200) {
          this.longest_ms = Math.max(this.longest_ms, asked_ms - lastGood_ms);
          lastGood_ms = performance.now();
        }
        await Bun.sleep(10);
      }
    });
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }
}

await brokerSuite("a stop of an order service that leaves its group", ({ brokers }) => {
  test(
    "its partitions' standbys answer at once: others are told to ask them before it closes",
    async () => {
      await using dirs = new AsyncDisposableStack();
      const { orders, cart, services } = await threeWithStandbys(brokers, dirs);
      const [asked, , stopped] = services;
      const held = (await health(stopped.orderUrl)).partitions.map(({ partition }) => partition);
      const orderIds = held.map((partition) => orders.newOrder(partition));
      for (const orderId of orderIds) await createOrder(cart.cartUrl, { order_id: orderId.slice(4), number_of_items: 1 });
      await waitUntil("the orders", async () =>
        (await Promise.all(orderIds.map((orderId) => orderDetails(asked.orderUrl, orderId)))).every(
          ({ status }) => status === 200,
        ),
      );
      await using load = new CreateLoad(cart, orders, 2);
      await waitUntil("some orders", () => load.acknowledged.length > 500, { wait_ms_max: 30_000 });
      const gaps = new Gaps(asked.orderUrl, orderIds);
      await Bun.sleep(500);
      stopped.kill("SIGTERM");
      await stopped.exited();
      await Bun.sleep(3_000);
      await gaps.end();
      expect(gaps.longest_ms).toBeLessThan(GAP_MS_MAX);
    },
    TIMEOUT_MS,
  );
});
