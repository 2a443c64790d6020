import { expect, test } from "bun:test";
import { join } from "node:path";
import { brokerSuite } from "../support/brokers/broker.ts";
import { freePorts } from "../support/brokers/ports.ts";
import { CreateLoad } from "../support/cluster/create-load.ts";
import { health, namedTopic, readable } from "../support/cluster/orders-topic.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";

const PARTITIONS = 6;
const TIMEOUT_MS = 120_000;

/** The sum over a metric's series. */
async function metric(program: Program, name: string): Promise<number> {
  const text = await (await fetch(`${program.orderUrl}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`));
  expect(lines.length).toBeGreaterThan(0);
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

const heldBy = async (program: Program) => (await health(program.orderUrl)).partitions.map(({ partition }) => partition);
const assignments = (program: Program) => program.output().match(/partitions assigned/g)?.length ?? 0;
/** How far the program's partitions are in sum. */
const positions = async (program: Program) =>
  (await health(program.orderUrl)).partitions.reduce((sum, { offset }) => sum + offset, 0);

await brokerSuite("three order services on a broker", ({ brokers }) => {
  test(
    "a rolling restart under load rebuilds nothing, moves nothing and reads nothing again; after a kill -9 only what was unsaved is read again",
    async () => {
      const orders = namedTopic(PARTITIONS, { KAFKA_BROKERS: brokers });
      await using cart = await startProgram({ role: "producer", env: orders.env });
      await cart.ready();
      await using dirs = new AsyncDisposableStack();
      const [ports, shared] = [await freePorts(3), await tempDir()];
      dirs.use(shared);
      const PEER_TOKEN_FILE = join(shared.path, "peer-token");
      await Bun.write(PEER_TOKEN_FILE, crypto.randomUUID());
      const places = await Promise.all(
        ports.map(async (port) => {
          const dir = await tempDir();
          dirs.use(dir);
          return { dataDir: dir.path, env: { ...orders.env, PEER_TOKEN_FILE, ORDER_PORT: String(port) } };
        }),
      );
      const start = async (n: number) => dirs.use(await startProgram({ role: "consumer", ...places[n]! }));
      const services = await Promise.all(places.keys().map(start));
      for (const service of services) await service.live();
      await waitUntil(
        "each to hold two",
        async () => (await Promise.all(services.map(heldBy))).every((held) => held.length === 2),
        {
          wait_ms_max: 20_000,
        },
      );
      await using load = new CreateLoad(cart, orders, 4);
      await waitUntil("some orders", () => load.acknowledged.length > 2_000, { wait_ms_max: 30_000 });

      /** Ends the service in this way, starts it again within the session, and returns what it read again. */
      const restart = async (n: number, signal: "SIGTERM" | "SIGKILL") => {
        const ended = services[n]!;
        const held = await heldBy(ended);
        const others = services.filter((each) => each !== ended);
        const told = others.map(assignments);
        const applied = await positions(ended);
        ended.kill(signal);
        await ended.exited();
        const again = await start(n);
        services[n] = again;
        await again.ready();
        expect(await heldBy(again)).toEqual(held);
        expect(others.map(assignments)).toEqual(told);
        expect(await metric(again, "orders_new_stores_total")).toBe(0);
        const readSince = await metric(again, "orders_records_total");
        return {
          unsaved: await metric(again, "orders_records_unsaved_total"),
          readSince,
          grown: (await positions(again)) - applied,
        };
      };

      for (const n of services.keys()) {
        const { unsaved, readSince, grown } = await restart(n, "SIGTERM");
        expect(unsaved).toBe(0);
        expect(readSince).toBeLessThanOrEqual(grown);
      }
      const began_ms = performance.now();
      const before = load.acknowledged.length;
      await Bun.sleep(2_000);
      const perSecond = (load.acknowledged.length - before) / ((performance.now() - began_ms) / 1_000);
      const { unsaved, readSince, grown } = await restart(0, "SIGKILL");
      // The store is saved each second; three seconds' records of a third of the partitions are far more than that.
      expect(unsaved).toBeLessThan(perSecond);
      expect(readSince).toBeLessThanOrEqual(grown + unsaved);

      await load.end();
      expect(load.counts()).toEqual({ "200": load.answers.length });
      const sample = load.acknowledged.filter((_, n) => n % 97 === 0);
      for (const { orderId } of sample) await readable(services[0]!, orderId);
    },
    TIMEOUT_MS,
  );
});
