import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/system/clock.ts";
import { partitionFor } from "../../src/log/partitioner.ts";
import type { LogRecord } from "../../src/log/port.ts";
import { openSqliteLog } from "../../src/log/sqlite/sqlite-log.ts";
import { createOrder, updateOrder } from "../support/http/http.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import type { Wire } from "../support/events/orders.ts";
import { pythonUpdate } from "../support/events/python-events.ts";
import { alterStore } from "../support/stores/altered-store.ts";
import { tempDir, type TempDir } from "../support/stores/temp-dir.ts";
import { runBounded } from "../support/programs/tied-process.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 60_000;
const AUDIT_MS_MAX = 40_000;
const ORDERS = 120;
const WRITE_WAIT_MS = 5;
const TOPIC = "orders.events";
const PARTITIONS = 3;
const env = { TOPIC_PARTITIONS: String(PARTITIONS), OPERATOR_TOKEN: "a-token-for-tests", LOG_FORMAT: "json" };

/** The record's event, parsed; undefined if it is poison. */
function wireOf({ value }: LogRecord): Wire | undefined {
  try {
    return JSON.parse(String(value)) as Wire;
  } catch {
    return undefined;
  }
}

const isCreateOf = (orderId: string, { order_id, event_type }: Wire): boolean =>
  order_id === orderId && event_type === "ORDER_CREATED";

describe("bun run audit, on the embedded log", () => {
  let dir: TempDir;
  let program: Program;

  const start = async () => {
    program = await startProgram({ env, dataDir: dir.path });
    await program.ready();
  };
  /**
   * Stops the program, has the partition of ORD-7 folded from altered records, and starts the program again. Returns the
   * partition.
   */
  const tamper = async (alter: (event: Wire) => readonly Wire[], keepsDigest = false): Promise<number> => {
    program.kill("SIGTERM");
    await program.exited();
    const partition = partitionFor("murmur2", "ORD-7", PARTITIONS);
    const state = join(dir.path, "state");
    const store = new RegExp(`order-service-0/orders\\.events\\.${partition}\\.v\\d+\\.sqlite$`);
    const name = readdirSync(state, { recursive: true, encoding: "utf8" }).find((one) => store.test(one));
    await alterStore({
      path: join(state, name as string),
      topic: TOPIC,
      partition,
      logPath: join(dir.path, "log.sqlite"),
      keepsDigest,
      alter: (record) => {
        const event = wireOf(record);
        if (event === undefined) return [record];
        return alter(event).map((wire) => ({
          ...record,
          key: Buffer.from(wire.order_id),
          value: Buffer.from(JSON.stringify(wire)),
        }));
      },
    });
    await start();
    return partition;
  };
  const audit = (...args: string[]) => {
    const { PATH, HOME } = process.env;
    const settings = { ...env, DATA_DIR: dir.path, ORDER_PORT: new URL(program.orderUrl).port, PATH, HOME };
    return runBounded([process.execPath, "src/tools/audit/main.ts", ...args], AUDIT_MS_MAX, settings);
  };

  beforeAll(async () => {
    dir = await tempDir();
    await start();
    for (let n = 0; n < ORDERS; n++)
      expect((await createOrder(program.cartUrl, { order_id: String(n), number_of_items: 2 })).status).toBe(200);
    for (let n = 0; n < ORDERS; n += 3)
      expect((await updateOrder(program.cartUrl, { order_id: String(n), status: "shipped" })).status).toBe(200);
    // These events are written only by other programs: a held update, a duplicate of it, and poison.
    const log = openSqliteLog({
      path: join(dir.path, "log.sqlite"),
      clock: systemClock,
      newUuid: () => crypto.randomUUID(),
      owner: "test",
    });
    const foreign = (key: string, value: string) => ({ partition: 1, key, value, headers: [], timestamp_ms: 0 });
    const early = foreign("ORD-90001", pythonUpdate("ORD-90001", "confirmed", "early"));
    await log.producer().append(TOPIC, [early, early, foreign("ORD-1", "no JSON")]);
    await log.close();
  }, TIMEOUT_MS);

  afterAll(async () => {
    await program[Symbol.asyncDispose]();
    await dir[Symbol.asyncDispose]();
  });

  test(
    "a service that is named twice is one",
    async () => {
      const { ok, output } = await audit("--services", `${program.orderUrl},${program.orderUrl}/`);
      expect([ok, output]).toEqual([true, expect.stringContaining("3 partitions, 120 orders: all agree.")]);
    },
    TIMEOUT_MS,
  );

  test(
    "agrees with a service that is right, by digests and row by row, also while it is written to",
    async () => {
      const load = { on: true };
      const writing = (async () => {
        for (let n = 0; load.on; n++) {
          await createOrder(program.cartUrl, { order_id: `5000${n}`, number_of_items: 1 });
          await Bun.sleep(WRITE_WAIT_MS);
        }
      })();
      for (const args of [[], ["--rows"], ["--rows", "--rate", "200"]]) {
        const { ok, output } = await audit(...args);
        expect([ok, output]).toEqual([true, expect.stringMatching(/3 partitions, \d+ orders: all agree\./)]);
        expect(output).not.toContain("Warning");
      }
      load.on = false;
      await writing;
    },
    TIMEOUT_MS,
  );

  test(
    "finds a row that is wrong, says how, and --fix has its partition rebuilt",
    async () => {
      const partition = await tamper((event) =>
        isCreateOf("ORD-7", event) ? [{ ...event, order: { ...event.order, status: "cancelled" } }] : [event],
      );
      const found = await audit();
      expect(found.ok).toBe(false);
      expect(found.output).toContain(`partition ${partition}: ORD-7 has status "cancelled", and should have "new"\n`);
      expect(found.output).toContain("orders: 1 differs.");
      expect(found.output.match(/agrees$/gm)).toHaveLength(2);
      const fixed = await audit("--fix");
      expect(fixed.output).toContain(`partition ${partition}, before it was rebuilt: ORD-7 has status "cancelled"`);
      expect([fixed.ok, fixed.output]).toEqual([true, expect.stringContaining("all agree")]);
      expect(readdirSync(join(dir.path, "state"), { recursive: true, encoding: "utf8" }).join()).toContain(".set-aside-");
      expect((await audit("--rows")).ok).toBe(true);
    },
    TIMEOUT_MS,
  );

  test(
    "a row that changed behind the digest's back is found with --rows, and a missing and an invented order too",
    async () => {
      let missing: string | undefined;
      await tamper((event) => {
        if (isCreateOf("ORD-7", event)) {
          const items = [{ item_id: "ITEM-1", quantity: 1, price: 0.01 }];
          const invented = { ...event.order, order_id: "ORD-424242" };
          return [
            { ...event, order: { ...event.order, items } },
            { ...event, order_id: "ORD-424242", order: invented },
          ];
        }
        missing ??= event.order_id === "ORD-7" ? undefined : event.order_id;
        return event.order_id === missing ? [] : [event];
      }, true);
      const { ok, output } = await audit("--rows");
      expect(ok).toBe(false);
      expect(output).toContain("ORD-7 has items");
      expect(output).toContain("ORD-424242 is held and is not in the log");
      expect(output).toContain(`${missing} is missing`);
      const kept = await audit("--rows", "--fix");
      expect(kept.ok).toBe(false);
      expect(kept.output).toMatch(/the state has 1 order and \d+ events? that the log does not have: the log has lost records/);
      expect(kept.output).toContain("it is not rebuilt, since the log may not have all");
      // The state is as it was.
      expect((await audit("--rows")).output).toContain("ORD-424242 is held and is not in the log");
      expect((await audit("--rows", "--fix", "--log-is-right")).ok).toBe(true);
    },
    TIMEOUT_MS,
  );

  test(
    "what cannot be begun says what to do",
    async () => {
      const nobody = await audit("--services", "http://127.0.0.1:9");
      expect(nobody.output).toContain("http://127.0.0.1:9 does not answer");
      for (const args of [["--rate", "x"], ["--services", "here"], ["--fast"], ["--log-is-right"]])
        expect((await audit(...args)).ok).toBe(false);
      const { OPERATOR_TOKEN: _, ...without } = env;
      const { PATH, HOME } = process.env;
      const settings = { ...without, DATA_DIR: dir.path, PATH, HOME };
      const refused = await runBounded([process.execPath, "src/tools/audit/main.ts", "--fix"], AUDIT_MS_MAX, settings);
      expect(refused.output).toContain("--fix needs OPERATOR_TOKEN");
      expect((await audit("--help")).output).toContain("Usage: bun run audit");
      await waitUntil("the service to be as it was", async () => (await audit()).ok, { wait_ms_max: AUDIT_MS_MAX });
    },
    TIMEOUT_MS,
  );
});
