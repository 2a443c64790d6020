import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { indexProjection } from "../../../src/services/cart/index/index-projection.ts";
import { OwnCreates } from "../../../src/services/cart/index/own-creates.ts";
import { type Config, readConfig } from "../../../src/config/config.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { stateIn } from "../../../src/runtime/store/lost-logs.ts";
import { appliedState, StateDir } from "../../../src/runtime/store/state-dir.ts";
import { unversionedName } from "../../../src/runtime/store/store-names.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { saveAt } from "../../support/stores/save-at.ts";
import { openedFiles } from "../../support/stores/opened-files.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { cartProjections } from "../../../src/services/cart/projections.ts";
import { placingIn } from "../../support/events/placing.ts";

const TOPIC = "orders.events";
const identity = { logId: "log", topic: TOPIC };
const found = (dir: string, topic = TOPIC, logId = "log") => appliedState(dir, topic, logId, () => false)?.path;

test("state of a topic is a store that something was applied to, of any role, and not one that was moved away", async () => {
  await using dir = await tempDir();
  expect(found(dir.path)).toBeUndefined();
  const state = StateDir.claim(dir.path, "log", "order-service", { newUuid: () => crypto.randomUUID() });
  const files = openedFiles(state.open(unversionedName(TOPIC, 3), ORDER_SERVICE_PROJECTIONS, identity));
  const store = new PartitionStore(files, ORDER_SERVICE_PROJECTIONS, 3, () => files.close());
  expect(found(dir.path)).toBeUndefined();
  await saveAt(store, 0);
  expect(found(dir.path)).toBeUndefined();
  await saveAt(store, 7);
  const path = join(dir.path, "state/log/order-service-0", `${TOPIC}.3.sqlite`);
  expect(found(dir.path)).toBe(path);
  store.close();
  expect(found(dir.path)).toBe(path);
  // The stores of another log or another topic are not found, whatever the files' names.
  expect([found(dir.path, TOPIC, "other"), found(dir.path, "orders"), found(dir.path, `${TOPIC}.3`)]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  const elsewhere = (counts: (logId: string) => boolean) => appliedState(dir.path, TOPIC, "other", counts);
  expect(elsewhere((logId) => logId === "log")).toEqual({ path, logId: "log" });
  expect(elsewhere((logId) => logId !== "log")).toBeUndefined();
  state.setAside(unversionedName(TOPIC, 3), 1);
  expect(found(dir.path)).toBeUndefined();
  state.release();
});

test("on an embedded log that of an embedded one comes first, then that of a cluster; on brokers that of clusters alone", async () => {
  await using dir = await tempDir();
  const EMBEDDED = "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f";
  const embedded = readConfig({ DATA_DIR: dir.path });
  const onBrokers = readConfig({ DATA_DIR: dir.path, KAFKA_BROKERS: "127.0.0.1:9092" });
  const foundIn = (config: Config, logId: string) => stateIn(config)(logId)?.logId;
  const apply = async (logId: string) => {
    const state = StateDir.claim(dir.path, logId, "order-service", { newUuid: () => crypto.randomUUID() });
    const files = openedFiles(state.open(unversionedName(TOPIC, 0), ORDER_SERVICE_PROJECTIONS, { logId, topic: TOPIC }));
    await saveAt(new PartitionStore(files, ORDER_SERVICE_PROJECTIONS, 0, () => undefined), 1);
    files.close();
    state.release();
  };
  expect([foundIn(embedded, "new"), foundIn(onBrokers, "new")]).toEqual([undefined, undefined]);
  await apply("a-cluster");
  expect([foundIn(embedded, "new"), foundIn(onBrokers, "new")]).toEqual(["a-cluster", "a-cluster"]);
  await apply(EMBEDDED);
  expect([foundIn(embedded, "new"), foundIn(onBrokers, "new")]).toEqual([EMBEDDED, "a-cluster"]);
  expect([foundIn(embedded, EMBEDDED), foundIn(onBrokers, "a-cluster")]).toEqual([EMBEDDED, "a-cluster"]);
  rmSync(join(dir.path, "state", "a-cluster"), { recursive: true });
  expect(foundIn(onBrokers, "new")).toBeUndefined();
});

test("so is one that cannot be looked into, since another program holds it", async () => {
  await using dir = await tempDir();
  const state = StateDir.claim(dir.path, "log", "cart", { newUuid: () => crypto.randomUUID() });
  const projections = cartProjections(indexProjection(new OwnCreates(), placingIn(3)));
  const files = openedFiles(state.open(`${TOPIC}.sqlite`, projections, identity));
  files.db.run("PRAGMA locking_mode = EXCLUSIVE");
  await saveAt(new PartitionStore(files, projections, 0, () => undefined), 1);
  expect(found(dir.path)).toBe(join(dir.path, "state/log/cart-0", `${TOPIC}.sqlite`));
  files.close();
  state.release();
});
