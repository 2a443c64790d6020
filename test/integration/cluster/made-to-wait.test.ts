import { describe, expect, test } from "bun:test";
import { clusterSuite } from "../../support/cluster/cluster-suite.ts";
import {
  appendForeign,
  created,
  health,
  live,
  ordersTopic,
  ordersTopicWithLogin,
  read,
  readable,
  spread,
} from "../../support/cluster/orders-topic.ts";
import { letterCount } from "../../support/cluster/letters.ts";
import { pythonCreate, pythonUpdate } from "../../support/events/python-events.ts";
import { createOrder, orderDetails } from "../../support/http/http.ts";
import { type Program, startProgram } from "../../support/programs/processes.ts";
import { apiKeys } from "../../support/brokers/tcp-proxy.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 150_000;
/** Longer than it takes to call something a standstill. */
const LONG_MS = 38_000;
/** The program's clients that do not log in. */
const THROTTLED = ["ANONYMOUS", "order-processing"] as const;
const CONSUMED_BYTES_PER_S = 3_000;
const PRODUCED_BYTES_PER_S = 2_500;
const BACKLOG = 250;

/** Asks for /health/live of both services again and again until the scope is left, and keeps what is not 200. */
function watchLive(program: Program) {
  const failures: string[] = [];
  const ended = new AbortController();
  const watching = (async () => {
    for (; !ended.signal.aborted; await Bun.sleep(1_000)) {
      const statuses = await live(program).catch((e: unknown) => [String(e)]);
      if (statuses.some((status) => status !== 200)) failures.push(statuses.join());
    }
  })();
  const end = () => {
    ended.abort();
    return watching;
  };
  return { failures, [Symbol.asyncDispose]: end };
}

await clusterSuite("made to wait", (cluster) => {
  describe.concurrent("for long, by others", () => {
    test(
      "quotas for reading and writing: the told time is kept without another connection, both stay live, and all is read and written in the end",
      async () => {
        const partitions = 3;
        const orders = await ordersTopic(cluster(), { layout: spread(partitions), brokers: cluster().proxied });
        const backlog = Array.from({ length: BACKLOG }, (_, i) => orders.newOrder(i % partitions));
        for (let partition = 0; partition < partitions; partition++) {
          const records = backlog
            .filter((_, i) => i % partitions === partition)
            .map((key) => ({ key, value: pythonCreate(key) }));
          await cluster().admin.produce(orders.topic, partition, records);
        }
        await using program = await startProgram({ env: orders.env });
        await program.ready();
        await readable(program, backlog.at(-1) as string);
        const limits = { consumer_byte_rate: CONSUMED_BYTES_PER_S, producer_byte_rate: PRODUCED_BYTES_PER_S };
        await cluster().admin.setQuotas(...THROTTLED, limits);
        try {
          await Bun.sleep(1_000);
          // One answer's worth is read at once, and the wait that it costs comes afterwards.
          for (let partition = 0; partition < partitions; partition++) {
            const filler = Array.from({ length: 150 }, () => ({
              key: backlog[0] as string,
              value: pythonUpdate(backlog[0] as string, "shipped"),
            }));
            await cluster().admin.produce(orders.topic, partition, filler);
          }
          await using watched = watchLive(program);
          const endedConnections = () =>
            [...cluster().proxies.values()].map((proxy) => proxy.endedAfter(apiKeys.fetch) + proxy.endedAfter(apiKeys.produce));
          const before = endedConnections();
          const unfit = new Set<string>();
          const until_ms = performance.now() + LONG_MS;
          while (performance.now() < until_ms) {
            const asked = Array.from({ length: partitions }, (_, partition) => ({
              order_id: orders.newOrder(partition),
              number_of_items: 1,
            }));
            for (const { status, body } of await Promise.all(asked.map((order) => createOrder(program.cartUrl, order)))) {
              // An unknown outcome is fit only if the answer says that the event was appended and just cannot be read
              // back.
              const isUnsure = body.code === "APPEND_OUTCOME_UNKNOWN" && !/ was appended/.test(body.detail ?? "");
              if (![200, 503].includes(status) || isUnsure) unfit.add(`${status} ${body.code} ${body.detail}`);
            }
            await Bun.sleep(500);
          }
          expect([...unfit]).toEqual([]);
          expect(endedConnections()).toEqual(before);
          expect(watched.failures).toEqual([]);
          expect(await read(program, backlog[1] as string)).toBe("200");
        } finally {
          await cluster().admin.setQuotas(...THROTTLED, { consumer_byte_rate: null, producer_byte_rate: null });
        }
        const last = orders.newOrder(0);
        await waitUntil("a create", async () => /^(200|409 .*)$/.test(await created(program, last)), { wait_ms_max: LONG_MS });
        await readable(program, last, LONG_MS);
        await program.ready(LONG_MS);
      },
      TIMEOUT_MS,
    );

    test(
      "another program's transaction stays open for long: no standstill, and what is behind it is read once it is committed; an aborted one is never seen",
      async () => {
        // The program logs in, so that the quotas do not apply to it.
        const orders = await ordersTopicWithLogin(cluster(), { layout: spread(2) });
        await using program = await startProgram({ env: orders.env });
        await program.ready();
        await using watched = watchLive(program);
        const [changed, aborted, inside, behind] = Array.from({ length: 4 }, () => orders.newOrder(0)) as [
          string,
          string,
          string,
          string,
        ];
        await appendForeign(cluster(), orders, 0, changed);
        const { admin } = cluster();
        const [topic, partition] = [orders.topic, 0];
        const never = await admin.openTransaction(`${topic}.never`, {
          topic,
          partition,
          records: [
            { key: aborted, value: pythonCreate(aborted) },
            { key: "x", value: "no event, and no letter" },
          ],
        });
        await never.abort();
        const open = await admin.openTransaction(`${topic}.open`, {
          topic,
          partition,
          records: [
            { key: inside, value: pythonCreate(inside) },
            { key: changed, value: pythonUpdate(changed, "shipped") },
          ],
        });
        await readable(program, changed);
        await appendForeign(cluster(), orders, 0, behind);
        await Bun.sleep(1_000);
        expect(await read(program, behind)).toBe("503 LOG_UNAVAILABLE");
        await Bun.sleep(LONG_MS);
        expect(watched.failures).toEqual([]);
        for (const url of [program.cartUrl, program.orderUrl]) expect((await health(url)).http).toBe(200);
        const other = orders.newOrder(1);
        expect(await created(program, other)).toBe("200");
        await readable(program, other);
        // The order is in the log, though nobody can read it yet, so it is never created a second time.
        expect(await created(program, behind)).not.toBe("200");
        await open.commit();
        for (const orderId of [inside, behind]) await readable(program, orderId);
        expect((await orderDetails(program.orderUrl, changed)).body.order?.status).toBe("shipped");
        expect(await read(program, aborted)).toBe("404 ORDER_NOT_FOUND");
        expect(await created(program, behind)).toBe("409 ORDER_EXISTS");
        expect(await letterCount(cluster(), orders)).toBe(0);
      },
      TIMEOUT_MS,
    );
  });
});
