import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readConfig } from "../../src/config/config.ts";
import type { LogKindName } from "../../src/config/log.ts";
import { isAbsent, kindOfId, logFiles, logKinds, logName } from "../../src/log/log-kinds.ts";
import { tempDir } from "../support/stores/temp-dir.ts";

const EMBEDDED_ID = "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f";

/** Log ids as each kind of log has them. */
const ids: Readonly<Record<LogKindName, readonly string[]>> = {
  // An id of Kafka, one of Redpanda, and one that somebody chose.
  kafka: ["MkU3OEVBNTcwNTJENDM2Qk", `redpanda.${EMBEDDED_ID}`, "a-cluster"],
  embedded: [EMBEDDED_ID, crypto.randomUUID()],
};

test("a log's id tells of which kind the log is, since the state of a lost log is known by that alone", () => {
  for (const [kind, examples] of Object.entries(ids))
    for (const id of examples) {
      expect({ id, kind: kindOfId(id) }).toEqual({ id, kind: kind as LogKindName });
      const claims = Object.values(logKinds).filter(({ idPattern }) => idPattern?.test(id));
      expect({ id, claims: claims.length }).toEqual({ id, claims: kind === "kafka" ? 0 : 1 });
    }
  expect(Object.entries(logKinds).flatMap(([kind, { idPattern }]) => (idPattern === undefined ? [kind] : []))).toEqual(["kafka"]);
});

test("the state of a log's own kind is looked for first", () => {
  for (const [kind, { stateCounts }] of Object.entries(logKinds)) expect(stateCounts[0] as string).toBe(kind);
});

test("an embedded log is absent until its file is there; brokers are never", async () => {
  await using dir = await tempDir();
  const data_dir = join(dir.path, "data");
  const { log } = readConfig({ DATA_DIR: data_dir });
  const path = join(data_dir, "log.sqlite");
  expect(isAbsent(log)).toBe(true);
  mkdirSync(data_dir);
  writeFileSync(`${path}-wal`, "");
  expect(isAbsent(log)).toBe(true);
  writeFileSync(path, "");
  expect(isAbsent(log)).toBe(false);
  expect(logFiles(log)).toEqual([path, `${path}-wal`, `${path}-shm`]);
  expect(logName(log)).toBe(`embedded in ${path}, as KAFKA_BROKERS is not set`);
  const brokers = readConfig({ DATA_DIR: data_dir, KAFKA_BROKERS: "a:1,b:2" }).log;
  expect([isAbsent(brokers), logFiles(brokers), logName(brokers)]).toEqual([false, [], "Kafka at a:1,b:2"]);
});
