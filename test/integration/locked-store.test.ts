import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { health, live, namedTopic, readable } from "../support/cluster/orders-topic.ts";
import { createOrder, orderDetails } from "../support/http/http.ts";
import { startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 60_000;
const LOCKED_MS = 9_000;
/** The longest that any other answer may take. */
const ANSWER_MS_MAX = 1_000;
const PARTITIONS = 3;

async function storeOf(dataDir: string, service: string, partition: number): Promise<string> {
  for await (const path of new Bun.Glob(`state/*/${service}-0/*.${partition}.v*.sqlite`).scan(dataDir))
    return join(dataDir, path);
  throw new Error(`There is no store of ${service} for partition ${partition}.`);
}

test(
  "a store that another program holds locked suspends its partition, says so and goes on by itself; nobody else waits for it",
  async () => {
    const orders = namedTopic(PARTITIONS, {});
    await using program = await startProgram({ env: orders.env });
    await program.ready();
    const { cartUrl, orderUrl } = program;
    const create = (order_id: string) => createOrder(cartUrl, { order_id, number_of_items: 1 });
    const known = [0, 1, 2].map((partition) => orders.newOrder(partition));
    for (const orderId of known) expect((await create(orderId)).status).toBe(200);
    for (const orderId of known) await readable(program, orderId);

    const database = new Database(await storeOf(program.dataDir, "order-service", 0));
    database.run("BEGIN IMMEDIATE");
    const waiting = orders.newOrder(0);
    const taken = create(waiting);
    const slow: string[] = [];
    const timed = async (what: string, ask: () => Promise<unknown>) => {
      const asked_ms = performance.now();
      await ask();
      const took_ms = performance.now() - asked_ms;
      if (took_ms > ANSWER_MS_MAX) slow.push(`${what}: ${took_ms.toFixed(0)} ms`);
    };
    let wasSuspended = false;
    for (const until_ms = performance.now() + LOCKED_MS; performance.now() < until_ms; await Bun.sleep(100)) {
      const elsewhere = orders.newOrder(1);
      await timed("/health/live", async () => expect(await live(program)).toEqual([200, 200]));
      await timed("a create elsewhere", async () => expect((await create(elsewhere)).status).toBe(200));
      await timed("a read elsewhere", () => readable(program, elsewhere, ANSWER_MS_MAX));
      await timed("a read of what is known", async () =>
        expect((await orderDetails(orderUrl, known[0] as string)).status).toBe(200),
      );
      expect((await orderDetails(orderUrl, waiting)).status).not.toBe(404);
      const { status, http, partitions } = await health(orderUrl);
      if (partitions[0]?.state !== "suspended") continue;
      wasSuspended = true;
      expect([http, status]).toEqual([503, "suspended"]);
      expect(partitions[0]?.reason).toMatch(/lock/i);
      expect(partitions.slice(1).map(({ state }) => state)).toEqual(["running", "running"]);
    }
    expect(slow).toEqual([]);
    expect(wasSuspended).toBe(true);
    database.run("ROLLBACK");
    database.close();
    expect((await taken).status).toBe(200);
    await readable(program, waiting);
    await waitUntil("all to be ready", async () => (await health(orderUrl)).status === "ready");
  },
  TIMEOUT_MS,
);
