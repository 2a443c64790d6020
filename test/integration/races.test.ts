import { expect, test } from "bun:test";
import { brokerSuite } from "../support/brokers/broker.ts";
import { type Backing, brokerBacking, embeddedBacking, readAll } from "../support/brokers/foreign.ts";
import { createOrder, orderDetails, orderIds, updateOrder } from "../support/http/http.ts";
import { startProgram } from "../support/programs/processes.ts";

const TIMEOUT_MS = 120_000;
const TRIES = 1_000;
const AT_ONCE = 25;

/** Runs `attempt` TRIES times, AT_ONCE of them at the same time. */
async function tries(attempt: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < TRIES) await attempt(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const items = [{ item_id: "I", quantity: 1, price: 1 }];

function raceSuite(name: string, open: () => Promise<Backing>): void {
  test(
    `${name}: of two carts that create the same new order, one answers 200 and one 409, and the order is the winner's`,
    async () => {
      await using backing = await open();
      await using a = await startProgram({ env: backing.env, dataDir: backing.dataDir });
      // The embedded log lies in the data directory; on the broker each cart has its own.
      const shared = backing.kind === "embedded" ? { dataDir: backing.dataDir } : {};
      await using b = await startProgram({ role: "producer", env: backing.env, ...shared });
      await Promise.all([a.ready(), b.ready()]);
      const winners = new Map<string, string>();
      await tries(async (n) => {
        const create = (url: string, customer_id: string) => createOrder(url, { order_id: `${n}`, customer_id, items });
        // Each of the two is sent first equally often.
        const [fromA, fromB] =
          n % 2 === 0
            ? await Promise.all([create(a.cartUrl, "A"), create(b.cartUrl, "B")])
            : (await Promise.all([create(b.cartUrl, "B"), create(a.cartUrl, "A")])).toReversed();
        if (!fromA || !fromB) throw new Error("Two requests have two answers.");
        expect([n, ...[fromA.status, fromB.status].toSorted((x, y) => x - y)]).toEqual([n, 200, 409]);
        const [winner, customer] = fromA.status === 200 ? [fromA, "A"] : [fromB, "B"];
        winners.set(`ORD-${n}`, customer);
        const details = await orderDetails(a.orderUrl, `${n}`, { "log-position": winner.headers.get("log-position") ?? "" });
        expect([n, details.body.order?.customerId]).toEqual([n, customer]);
      });
      expect(new Set(winners.values())).toEqual(new Set(["A", "B"]));
      expect((await orderIds(a.orderUrl, backing.topic)).body.orderIds).toHaveLength(TRIES);

      // The log says the same: the first create of each order is the winner's, and there were real races.
      const firsts = new Map<string, string>();
      const records = await readAll(backing.log, backing.topic);
      for (const { key, value } of records) {
        const { order } = JSON.parse(String(value)) as { order: { customer_id: string } };
        if (!firsts.has(String(key))) firsts.set(String(key), order.customer_id);
      }
      expect([...firsts].filter(([id, customer]) => winners.get(id) !== customer)).toEqual([]);
      expect(records.length).toBeGreaterThan(TRIES);
    },
    TIMEOUT_MS,
  );

  test(
    `${name}: an update through one cart right after the create through another never gets a false 404`,
    async () => {
      await using backing = await open();
      await using a = await startProgram({ role: "producer", env: backing.env, dataDir: backing.dataDir });
      const shared = backing.kind === "embedded" ? { dataDir: backing.dataDir } : {};
      await using b = await startProgram({ role: "producer", env: backing.env, ...shared });
      await Promise.all([a.ready(), b.ready()]);
      await tries(async (n) => {
        const [first, second] = n % 2 === 0 ? [a, b] : [b, a];
        const created = await createOrder(first.cartUrl, { order_id: `${n}`, number_of_items: 1 });
        const updated = await updateOrder(second.cartUrl, { order_id: `${n}`, status: "shipped" });
        expect([n, created.status, updated.status]).toEqual([n, 200, 200]);
      });
      const missing = await Promise.all([a, b].map(({ cartUrl }) => updateOrder(cartUrl, { order_id: "99999", status: "new" })));
      expect(missing.map(({ status }) => status)).toEqual([404, 404]);
    },
    TIMEOUT_MS,
  );
}

raceSuite("on the embedded log", () => embeddedBacking());

await brokerSuite("races", ({ brokers }) => raceSuite("on a broker", () => brokerBacking(brokers)));
