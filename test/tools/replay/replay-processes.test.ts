import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Backing, totalLength } from "../../support/brokers/foreign.ts";
import { pythonCreate, pythonUpdate } from "../../support/events/python-events.ts";
import { orderIds } from "../../support/http/http.ts";
import { eachWay, type Way } from "../../support/programs/operation-ways.ts";
import { orderRows, runOperation, startOperation } from "../../support/programs/operations.ts";
import { startProgram } from "../../support/programs/processes.ts";
import { type ExactRecord, readExact } from "../../support/events/records.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { answers, arrivedOf, fill, FIRST_MS, lengthSoFar, ORDERS, someOrders, sourceOf } from "./processes.ts";
import { caughtUp } from "../../support/brokers/caught-up.ts";
import { savedStores } from "../../support/stores/saved-stores.ts";

const TIMEOUT_MS = 180_000;

function replaySuite(way: Way): void {
  test(
    "onto the live topic it changes nothing; into a new topic, a fresh order service holds the same",
    async () => {
      await using backing = await way.open();
      await using program = await startProgram({ role: "both", env: backing.env, dataDir: backing.dataDir });
      await program.ready();
      await someOrders(program.cartUrl);
      await backing.produce([
        { partition: 3, key: "ORD-900", value: pythonUpdate("ORD-900", "shipped") },
        { partition: 5, key: "ORD-901", value: pythonCreate("ORD-901") },
      ]);
      await caughtUp(program.orderUrl, backing.log, backing.topic);
      await savedStores(backing.dataDir, backing.log, backing.topic);
      const before = { answers: await answers(program.orderUrl), rows: await orderRows(backing.dataDir, backing.topic) };
      const length = await totalLength(backing.log, backing.topic);

      const fresh = `${backing.topic}.fresh`;
      const away = await runOperation("replay", [...way.args, "--target", fresh], way.env(backing));
      expect(away).toMatchObject({ code: 0 });
      const live = await runOperation("replay", [...way.args, "--target", backing.topic, "--yes"], way.env(backing));
      expect(live).toMatchObject({ code: 0 });
      expect(live.output).toContain(`All of ${length} records`);
      await caughtUp(program.orderUrl, backing.log, backing.topic);
      await savedStores(backing.dataDir, backing.log, backing.topic);
      expect(await totalLength(backing.log, backing.topic)).toBeGreaterThanOrEqual(2 * length);
      expect({ answers: await answers(program.orderUrl), rows: await orderRows(backing.dataDir, backing.topic) }).toEqual(before);
      expect(await totalLength(backing.log, backing.deadLetterTopic)).toBe(0);

      // The embedded log lies in the data directory, so the fresh service uses that too, with a state of its own for
      // the other topic.
      await using dir = await tempDir();
      const dataDir = backing.kind === "broker" ? dir.path : backing.dataDir;
      const more = { ORDERS_TOPIC: fresh, CONSUMER_GROUP: `${fresh}.group` };
      program.kill("SIGKILL");
      await program.exited();
      if (backing.kind === "embedded") await backing.forgetState();
      await using other = await startProgram({ role: "consumer", env: { ...backing.env, ...more }, dataDir });
      await other.ready();
      await caughtUp(other.orderUrl, backing.log, fresh);
      await savedStores(dataDir, backing.log, fresh);
      expect({ answers: await answers(other.orderUrl), rows: await orderRows(dataDir, fresh) }).toEqual(before);
      const ids = (await orderIds(other.orderUrl, fresh)).body.orderIds ?? [];
      expect(ids.toSorted()).toEqual([...Array.from({ length: ORDERS }, (_, n) => `ORD-${n}`), "ORD-900", "ORD-901"].toSorted());
    },
    TIMEOUT_MS,
  );

  test(
    "a window, two orders, one type, with transactions and what others wrote in it: exactly those, in order, while the source is written",
    async () => {
      await using backing = await way.open();
      await fill(backing, 1_200);
      const fenced = await backing.log.fencedProducer(`${backing.topic}.someone`);
      const last = {
        partition: 7,
        key: "ORD-7",
        value: pythonUpdate("ORD-7", "shipped"),
        headers: [],
        timestamp_ms: FIRST_MS + 500_000,
      };
      await fenced.append(backing.topic, [
        last,
        { ...last, key: null, value: null },
        { ...last, partition: 8, value: "not json" },
      ]);
      await fenced.close();
      const source = await readExact(backing.log, backing.topic);
      const ends = (await backing.log.watermarks(backing.topic)).map(({ endOffset }) => endOffset);
      const writing = new AbortController();
      const writer = (async () => {
        const producer = backing.log.producer();
        while (!writing.signal.aborted) {
          await producer.append(backing.topic, [{ ...last, timestamp_ms: Date.now() }]);
          await Bun.sleep(5);
        }
        await producer.close();
      })();
      const at = (seconds: number) => new Date(FIRST_MS + seconds * 1_000).toISOString();
      const inWindow = ({ timestamp_ms }: ExactRecord, from: number, to: number) =>
        timestamp_ms >= FIRST_MS + from * 1_000 && timestamp_ms < FIRST_MS + to * 1_000;
      const cases: [args: string[], isMeant: (record: ExactRecord) => boolean][] = [
        [["--from", at(300), "--to", at(700)], (record) => inWindow(record, 300, 700)],
        [["--orders", "ORD-7,19"], ({ key }) => key === "ORD-7" || key === "ORD-19"],
        [
          ["--types", "ORDER_CREATED", "--to", at(100)],
          (record) => inWindow(record, 0, 100) && record.value?.includes("ORDER_CREATED") === true,
        ],
      ];
      for (const [i, [args, isMeant]] of cases.entries()) {
        const target = `${backing.topic}.replay.${i}`;
        const { code, output } = await runOperation("replay", [...way.args, ...args, "--target", target], way.env(backing));
        expect({ args, code, output: code === 0 ? "" : output }).toEqual({ args, code: 0, output: "" });
        const arrived = arrivedOf(await readExact(backing.log, target)).filter(({ partition, from }) => from < ends[partition]!);
        expect(arrived).toEqual(sourceOf(source.filter(isMeant)));
        expect(arrived.length).toBeGreaterThan(5);
      }
      writing.abort();
      await writer;
    },
    TIMEOUT_MS,
  );

  test(
    "killed in the middle, it says beforehand how to go on, goes on behind what is there, and all is there in order",
    async () => {
      await using backing = await way.open();
      await fill(backing, 6_000);
      const source = await readExact(backing.log, backing.topic);
      const target = `${backing.topic}.replay`;
      const args = [...way.args, "--id", "night-1", "--rate", "1500"];
      let kills = 0;
      for (const wanted of [500, 2_500]) {
        await using operation = startOperation(
          "replay",
          [...args, ...(kills === 0 ? ["--target", target] : [])],
          way.env(backing),
        );
        await waitUntil(
          () => `for ${wanted} records in the target. It said:\n${operation.output()}`,
          async () => (await lengthSoFar(backing, target)) >= wanted,
          { wait_ms_max: 60_000 },
        );
        expect(operation.output()).toContain(`If it is interrupted: bun run replay --id night-1`);
        operation.kill("SIGKILL");
        expect(await operation.exited).toEqual({ code: null, signal: "SIGKILL" });
        kills++;
      }
      expect(await totalLength(backing.log, target)).toBeLessThan(6_000);
      const { code, output } = await runOperation("replay", [...way.args, "--id", "night-1"], way.env(backing));
      expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" });
      expect(output).toMatch(/[0-9,]+ of 6,000 records are in .* already/);
      const arrived = await readExact(backing.log, target);
      expect(arrivedOf(arrived)).toEqual(sourceOf(source));
      if (way.kind !== "connect") expect(arrived).toHaveLength(6_000);
    },
    TIMEOUT_MS,
  );

  test(
    "Ctrl-C ends it within seconds, with the command that goes on",
    async () => {
      await using backing = await way.open();
      await fill(backing, 3_000);
      const target = `${backing.topic}.replay`;
      await using operation = startOperation(
        "replay",
        [...way.args, "--id", "n", "--rate", "200", "--target", target],
        way.env(backing),
      );
      await waitUntil(
        () => operation.output(),
        async () => (await lengthSoFar(backing, target)) > 0,
        { wait_ms_max: 60_000 },
      );
      const started_ms = performance.now();
      operation.kill("SIGINT");
      expect((await operation.exited).code).toBe(130);
      expect(performance.now() - started_ms).toBeLessThan(15_000);
      expect(operation.output()).toContain("To go on: bun run replay --id n");
      if (way.kind === "embedded") return;
      const other = await runOperation("replay", ["--id", "n", ...(way.kind === "direct" ? [] : ["--direct"])], way.env(backing));
      expect(other).toEqual({ code: 2, output: expect.stringContaining("--direct, and goes on like that.") });
    },
    TIMEOUT_MS,
  );

  if (way.kind === "direct") withoutConnect(way);
  if (way.kind === "connect") throughConnect(way);
}

function withoutConnect(way: Way): void {
  /** Writes a script to run in place of Connect. */
  const stub = async (backing: Backing, script: string) => {
    const path = join(backing.dataDir, "stub");
    await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return { ...way.env(backing), REDPANDA_CONNECT_BIN: path };
  };

  test(
    "that Connect ends with exit code 0 proves nothing: what has not arrived is found missing; when it fails, what it said is told",
    async () => {
      await using backing = await way.open();
      await fill(backing, 500);
      const nothing = await runOperation("replay", ["--target", `${backing.topic}.a`], await stub(backing, "exit 0"));
      expect(nothing).toEqual({ code: 1, output: expect.stringContaining("It ended although 500 records had not arrived.") });
      const failing = await stub(backing, 'echo "level=error msg=\\"it broke\\""; exit 3');
      expect(await runOperation("replay", ["--target", `${backing.topic}.b`], failing)).toEqual({
        code: 1,
        output: expect.stringMatching(
          /Redpanda Connect ended \(3\)\. It said: .*it broke.*\n(.*\n)*To go on: bun run replay --id /,
        ),
      });
    },
    TIMEOUT_MS,
  );

  test(
    "Connect does not outlive the command, however that ends",
    async () => {
      await using backing = await way.open();
      await fill(backing, 500);
      const env = await stub(backing, 'echo $$ > "$(dirname "$0")/pid"; exec sleep 1000');
      for (const signal of ["SIGKILL", "SIGINT"] as const) {
        const pidFile = join(backing.dataDir, "pid");
        await rm(pidFile, { force: true });
        await using operation = startOperation("replay", ["--target", `${backing.topic}.${signal}`], env);
        const pid = await waitUntil(
          () => operation.output(),
          async () => Number(await readFile(pidFile, "utf8").catch(() => "")) || undefined,
          { wait_ms_max: 60_000 },
        );
        expect(existsSync(`/proc/${pid}`)).toBe(true);
        operation.kill(signal);
        await operation.exited;
        await waitUntil("for Connect to be gone", () => !existsSync(`/proc/${pid}`));
      }
    },
    TIMEOUT_MS,
  );

  test(
    "where Connect is not found it says in a sentence how to get it, makes nothing, and ends with exit code 2",
    async () => {
      await using backing = await way.open();
      await fill(backing, 500);
      const target = `${backing.topic}.replay`;
      await symlink("/bin/sh", join(backing.dataDir, "sh"));
      const bare = { ...backing.env, DATA_DIR: backing.dataDir, PATH: backing.dataDir };
      const { code, output } = await runOperation("replay", ["--target", target], bare);
      expect({ code, output }).toEqual({
        code: 2,
        output: expect.stringContaining("install it (https://docs.redpanda.com/redpanda-connect/install"),
      });
      const missing = await runOperation("replay", ["--target", target], { ...bare, REDPANDA_CONNECT_BIN: "/no/such/program" });
      expect(missing).toEqual({
        code: 2,
        output: "REDPANDA_CONNECT_BIN is /no/such/program, which is no program that can be run.\n",
      });
      expect(await backing.log.partitionCount(target)).toBe(0);
    },
    TIMEOUT_MS,
  );
}

function throughConnect(way: Way): void {
  test(
    "a record that Connect cannot write ends it with that record's place, and --direct writes it",
    async () => {
      await using backing = await way.open();
      await fill(backing, 500);
      await backing.log.producer().append(backing.topic, [
        {
          partition: 4,
          key: "ORD-1",
          value: "v",
          timestamp_ms: 1,
          headers: [
            ["d", "1"],
            ["d", "2"],
          ],
        },
      ]);
      const args = ["--target", `${backing.topic}.replay`];
      const stopped = await runOperation("replay", args, way.env(backing));
      expect(stopped.code).toBe(1);
      expect(stopped.output).toContain("has headers that cannot be written as they are");
      expect(await runOperation("replay", [...args, "--direct"], way.env(backing))).toMatchObject({ code: 0 });
    },
    TIMEOUT_MS,
  );

  test.skipIf(!way.broker?.canRestart)(
    "the broker killed in the middle: it waits, and all of it arrives; what came again is counted",
    async () => {
      await using backing = await way.open();
      await fill(backing, 6_000);
      const source = await readExact(backing.log, backing.topic);
      const target = `${backing.topic}.replay`;
      await using operation = startOperation("replay", ["--rate", "1000", "--target", target], way.env(backing));
      await waitUntil(
        () => operation.output(),
        async () => (await lengthSoFar(backing, target)) > 1_000,
        { wait_ms_max: 60_000 },
      );
      await way.broker?.kill();
      await Bun.sleep(3_000);
      await way.broker?.start();
      expect({ code: (await operation.exited).code, output: operation.output() }).toMatchObject({ code: 0 });
      expect(arrivedOf(await readExact(backing.log, target))).toEqual(sourceOf(source));
    },
    TIMEOUT_MS,
  );
}

await eachWay("replay", replaySuite);
