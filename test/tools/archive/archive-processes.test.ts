import { expect, test } from "bun:test";
import { join } from "node:path";
import type { NewRecord } from "../../../src/log/port.ts";
import { type Backing } from "../../support/brokers/foreign.ts";
import { pythonCreate, pythonUpdate } from "../../support/events/python-events.ts";
import { eachWay, type Way } from "../../support/programs/operation-ways.ts";
import { runOperation, startOperation } from "../../support/programs/operations.ts";
import { type ExactRecord, headersByName, readExact } from "../../support/events/records.ts";
import { createTopic } from "../../support/brokers/topics.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 180_000;
const PARTITIONS = 12;

/**
 * The records without their offsets, which a restored topic counts anew, and with sorted headers, since Connect does
 * not keep their order.
 */
const contents = (records: readonly ExactRecord[]) =>
  records.map((record) => ({ ...record, offset: 0, headers: headersByName(record) }));

async function fill(backing: Backing, count: number): Promise<void> {
  await createTopic(backing.log, backing.topic, PARTITIONS);
  const producer = backing.log.producer();
  const odd: Pick<NewRecord, "key" | "value">[] = [
    { key: null, value: "null key" },
    { key: "", value: "" },
    { key: "tombstone", value: null },
    { key: Buffer.from([0, 0xff]), value: Buffer.from([0xff, 0, 10]) },
  ];
  const records = Array.from({ length: count }, (_, n): NewRecord => {
    const order = `ORD-${n % 200}`;
    const usual = { key: order, value: n < 200 ? pythonCreate(order) : pythonUpdate(order, "shipped") };
    return {
      ...(n % 20 === 7 ? odd[n % 4]! : usual),
      partition: n % (PARTITIONS - 1),
      timestamp_ms: 1_795_000_000_000 + n,
      headers:
        n % 3
          ? [
              ["z", String(n)],
              ["a", Buffer.from([0x80])],
              ["e", ""],
            ]
          : [],
    };
  });
  for (let at = 0; at < count; at += 500) await producer.append(backing.topic, records.slice(at, at + 500));
  await producer.close();
}

function archiveSuite(way: Way): void {
  test(
    "a topic goes to files and back, killed in the middle both ways; what it says beforehand of a restore that cannot go on is true",
    async () => {
      await using backing = await way.open();
      await fill(backing, 3_000);
      const source = await readExact(backing.log, backing.topic);
      const directory = join(backing.dataDir, "backup");
      const archive = [...way.args, "--dir", directory];
      const run = async (args: readonly string[]) => {
        const { code, output } = await runOperation("archive", args, way.env(backing));
        expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" });
      };
      const killed = async (args: readonly string[], isOnItsWay: () => Promise<boolean>) => {
        await using operation = startOperation("archive", args, way.env(backing));
        await waitUntil(() => `to kill it. It said:\n${operation.output()}`, isOnItsWay, { wait_ms_max: 60_000 });
        operation.kill("SIGKILL");
        expect(await operation.exited).toMatchObject({ signal: "SIGKILL" });
      };
      const files = () => Array.fromAsync(new Bun.Glob("**/*.jsonl.gz").scan(directory)).catch(() => []);
      await killed([...archive, "--rate", "1000"], async () => (await files()).length > 1);
      expect(
        await runOperation("archive", [...archive, "--restore", "--target", `${backing.topic}.early`], way.env(backing)),
      ).toMatchObject({ code: 2 });
      await run(archive);

      const target = `${backing.topic}.restored`;
      const restore = [...archive, "--restore", "--target", target];
      await killed([...restore, "--rate", "1000"], async () => {
        const restored = await backing.log.watermarks(target).catch(() => []);
        return restored.some(({ endOffset }) => endOffset > 0);
      });
      if (way.kind === "connect") {
        const refused = await runOperation("archive", restore, way.env(backing));
        expect(refused).toEqual({ code: 2, output: expect.stringContaining("take another --target") });
        // The part that Connect restored has headers out of order, so the topic cannot become exact any more.
        const direct = await runOperation("archive", [...restore, "--direct"], way.env(backing));
        expect(direct).toEqual({ code: 2, output: expect.stringContaining("another record than what the archive has") });
        await run([...archive, "--restore", "--target", `${target}.2`]);
        expect(contents(await readExact(backing.log, `${target}.2`))).toEqual(contents(source));
        await run([...archive, "--restore", "--target", `${target}.3`, "--direct"]);
        expect(await readExact(backing.log, `${target}.3`)).toEqual(source);
      } else {
        await run(restore);
        // A topic without gaps keeps its offsets.
        expect(await readExact(backing.log, target)).toEqual(source);
      }
    },
    TIMEOUT_MS,
  );
}

await eachWay("archive", archiveSuite);
