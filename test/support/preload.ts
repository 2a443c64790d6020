import { afterAll } from "bun:test";
import { disposeBroker } from "./brokers/broker.ts";
import { disposeCluster } from "./cluster/cluster-suite.ts";
import { removeAllTempDirs } from "./stores/temp-dir.ts";
import { killAllTied } from "./programs/tied-process.ts";

// Bun runs a preload's hook once, after the last test file.
afterAll(async () => {
  await Promise.all([disposeBroker(), disposeCluster()]);
  await killAllTied();
  await removeAllTempDirs();
}, 30_000);
