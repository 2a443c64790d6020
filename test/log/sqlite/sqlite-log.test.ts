import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/system/clock.ts";
import type { Log } from "../../../src/log/port.ts";
import { openSqliteLog } from "../../../src/log/sqlite/sqlite-log.ts";
import { type LogProcess, startLogProcess } from "./log-process.ts";
import {
  batchOf,
  eventually,
  fetchSome,
  newRecord,
  newRecords,
  readAll,
  rejection,
  TEST_TIMEOUT_MS,
  values,
} from "../contract/harness.ts";

let directory: string;
let path: string;
let log: Log;
const ended: (() => Promise<unknown>)[] = [];

const open = (append_wait_ms_max = 10_000): Log =>
  openSqliteLog({ path, clock: systemClock, newUuid: () => crypto.randomUUID(), owner: "the test", append_wait_ms_max });

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "sqlite-log-"));
  path = join(directory, "log.sqlite");
  log = open();
  await log.createTopic("orders", 2);
});

afterEach(async () => {
  await Promise.all(ended.splice(0).map((end) => end()));
  await log.close();
  rmSync(directory, { recursive: true });
});

const start = (...args: string[]): LogProcess => {
  const process = startLogProcess(path, ...args);
  ended.push(() => process.end());
  return process;
};

describe("the embedded log, several processes", () => {
  test(
    "four that open new files at the same moment find one log in each",
    async () => {
      const files = 30;
      path = join(directory, "new.sqlite");
      const processes = Array.from({ length: 4 }, () => start("open", String(Date.now() + 600), String(files)));
      for (const { finished } of processes) expect(await finished).toBe(0);
      for (const { lines } of processes) expect(lines).toEqual(processes[0]!.lines);
      expect(new Set(processes[0]!.lines).size).toBe(files);
      expect(processes[0]!.lines.every((line) => line.endsWith(" 2"))).toBe(true);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "two append 2,000 records each, a third follows and sees all, each one's order kept, as acknowledged",
    async () => {
      const writers = [start("append", "a", "2000"), start("append", "b", "2000")];
      const reader = log.reader("orders");
      const seen: string[] = [];
      await eventually("4,000 records", async () => {
        const limits = { wait_ms_max: 1_000, partition_bytes_max: 64 * 1024 };
        for (const result of await reader.fetch(new Map([[0, seen.length]]), limits)) {
          for (const record of batchOf(result).records) seen.push(`${record.offset} ${record.value!.toString()}`);
        }
        return seen.length >= 4_000;
      });
      for (const { finished } of writers) expect(await finished).toBe(0);
      expect(seen.length).toBe(4_000);
      const said = writers.flatMap(({ lines }) => lines);
      expect(said.toSorted()).toEqual(seen.toSorted());
      for (const name of ["a", "b"]) {
        const own = seen.map((line) => line.split(" ")[1]!).filter((value) => value.startsWith(name));
        expect(own).toEqual(Array.from({ length: 2_000 }, (_, each) => `${name}-${each}`));
      }
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "kill -9 in the middle of appends loses nothing acknowledged and leaves no gap",
    async () => {
      for (const name of ["first", "second", "third"]) {
        const writer = start("append", name, "1000000");
        await eventually("200 acknowledgements", () => writer.lines.length >= 200);
        await writer.end();
        const read = await readAll(log, "orders");
        const stored = new Set(read.map((record) => `${record.offset} ${record.value!.toString()}`));
        expect(writer.lines.filter((line) => !stored.has(line))).toEqual([]);
        expect(read.map((record) => record.offset)).toEqual(read.keys().toArray());
        expect(await log.producer().append("orders", [newRecord("after")])).toEqual([read.length]);
      }
    },
    TEST_TIMEOUT_MS,
  );
});

describe("the embedded log's file", () => {
  test("an append while another process writes for too long: refused within the bound, nothing landed, the event loop went on", async () => {
    const impatient = open(300);
    const other = new Database(path);
    other.run("BEGIN IMMEDIATE");
    let turns = 0;
    const turning = setInterval(() => turns++, 5);
    const began_ms = performance.now();
    expect(await rejection(impatient.producer().append("orders", newRecords("a", 1)))).toMatchObject({ code: "LOG_UNAVAILABLE" });
    clearInterval(turning);
    expect(performance.now() - began_ms).toBeLessThan(2_000);
    expect(turns).toBeGreaterThan(3);
    const patient = log.producer().append("orders", newRecords("b", 1));
    await Bun.sleep(100);
    other.run("ROLLBACK");
    other.close();
    expect(await patient).toEqual([0]);
    expect(await impatient.producer().append("orders", newRecords("c", 1))).toEqual([1]);
    expect(values(await readAll(log, "orders"))).toEqual(["b-0", "c-0"]);
    await impatient.close();
  });

  test("one that was removed or replaced is said to be unavailable, and takes no record that would end with the process", async () => {
    await log.producer().append("orders", newRecords("a", 1));
    renameSync(path, `${path}.away`);
    const gone = { code: "LOG_UNAVAILABLE", message: expect.stringContaining("was removed or replaced") };
    for (const isReplaced of [false, true]) {
      if (isReplaced) await Bun.write(path, "another file");
      expect(await rejection(log.producer().append("orders", newRecords("b", 1)))).toMatchObject(gone);
      expect(await rejection(log.watermarks("orders"))).toMatchObject(gone);
      const fetched = log.reader("orders").fetch(new Map([[0, 0]]), { wait_ms_max: 1_000, partition_bytes_max: 1_000 });
      expect(await rejection(fetched)).toMatchObject(gone);
    }
    renameSync(`${path}.away`, path);
    expect(await log.producer().append("orders", newRecords("c", 1))).toEqual([1]);
    expect(values(await readAll(log, "orders"))).toEqual(["a-0", "c-0"]);
  });

  test("a record missing in the middle is unreadable, not skipped; what lies before it is read", async () => {
    await log.producer().append("orders", newRecords("a", 10));
    const other = new Database(path);
    other.run("DELETE FROM records WHERE id % 1099511627776 = 6");
    other.close();
    const [before] = await fetchSome(log, "orders", new Map([[0, 3]]));
    expect(values(batchOf(before!).records)).toEqual(["a-3", "a-4", "a-5"]);
    const [at] = await fetchSome(log, "orders", new Map([[0, 6]]));
    expect(at).toMatchObject({ partition: 0, unreadable: expect.stringContaining("damaged") });
  });

  test("one of another format, or none of ours, is not opened, and why is said", async () => {
    const other = new Database(path);
    other.run("PRAGMA user_version = 99");
    other.close();
    expect(open).toThrow(/format 99/);
    path = join(directory, "text.sqlite");
    await Bun.write(path, "this is no database, it is a text that is a little longer than its header would be");
    expect(open).toThrow(/cannot be opened/);
    path = join(directory, "missing", "log.sqlite");
    expect(open).toThrow(/cannot be opened/);
  });

  test("what a group's member commits is there to be looked at", async () => {
    let held = false;
    const listener = { onAssigned: () => void (held = true), onLost: () => {}, onWaiting: () => {} };
    const membership = log.joinGroup({ group: "readers", topic: "orders", localPositions: () => new Map(), listener });
    await membership.commit(new Map([[0, { nextOffset: 99 }]]));
    await eventually("the group", () => held);
    await membership.commit(new Map([[0, { nextOffset: 3 }]]));
    await membership.commit(
      new Map([
        [0, { nextOffset: 7 }],
        [1, { nextOffset: 2 }],
      ]),
    );
    const other = new Database(path, { readonly: true });
    expect(other.query("SELECT partition, next_offset FROM group_offsets ORDER BY partition").values()).toEqual([
      [0, 7],
      [1, 2],
    ]);
    other.close();
  });
});
