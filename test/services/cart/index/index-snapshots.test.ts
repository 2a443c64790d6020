import { afterAll, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readConfig } from "../../../../src/config/config.ts";
import { zstd } from "../../../../src/runtime/snapshots/compression.ts";
import { StateDir } from "../../../../src/runtime/store/state-dir.ts";
import { CartService } from "../../../../src/services/cart/service.ts";
import { FileStorage } from "../../../../src/storage/file-storage.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { MemoryBroker } from "../../../log/memory/memory-log.ts";
import { orderCreated, recordOf } from "../../../support/events/orders.ts";
import { removeAllTempDirs, tempDir } from "../../../support/stores/temp-dir.ts";
import { waitUntil } from "../../../support/wait-until.ts";

afterAll(() => removeAllTempDirs());

const newUuid = () => crypto.randomUUID();

test("a new index for which all snapshots are damaged is read from the log, and the last line says so", async () => {
  const broker = new MemoryBroker({ clock: systemClock, newUuid });
  const { path: kept } = await tempDir();
  const logged: string[] = [];
  const start = async () => {
    const { path: dir } = await tempDir();
    const cart = new CartService({
      config: readConfig({ DATA_DIR: dir, TOPIC_PARTITIONS: "1" }),
      log: broker.connect("cart"),
      claimState: (id) => StateDir.claim(dir, id, "cart", { newUuid }),
      logger: createLogger({ level: "info", format: "json", write: (line) => logged.push(line) }),
      clock: systemClock,
      random: Math.random,
      newUuid,
      snapshots: { storage: new FileStorage(kept, newUuid), compression: zstd },
    });
    cart.start();
    await waitUntil(
      () => "for the cart to run",
      () => cart.partitions.get(0)?.state === "running",
    );
    return cart;
  };
  const first = await start();
  await broker
    .connect("other")
    .producer()
    .append("orders.events", [recordOf(orderCreated({}))]);
  await waitUntil(
    () => "for the order",
    () => first.partitions.get(0)?.nextOffset === 1,
  );
  await first.stop();
  const parts = readdirSync(kept, { recursive: true, withFileTypes: true }).filter((entry) => /^\d{6}$/.test(entry.name));
  expect(parts.length).toBeGreaterThan(0);
  for (const part of parts) if (part.isFile()) writeFileSync(join(part.parentPath, part.name), "damaged");
  logged.length = 0;
  const second = await start();
  expect(second.partitions.get(0)?.nextOffset).toBe(1);
  await second.stop();
  expect(logged.join("\n")).toMatch(
    /Index of orders: The store is read from the log's start, as none of its 1 snapshots .* can be used/,
  );
});
