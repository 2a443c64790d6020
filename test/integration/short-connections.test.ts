import { expect, test } from "bun:test";
import type { DeadLetterShown } from "../../src/services/orders/dead-letters/dead-letter-listing.ts";
import type { TimelineEvent } from "../../src/services/orders/history/timeline.ts";
import { brokerBacking, totalLength } from "../support/brokers/foreign.ts";
import { brokerSuite } from "../support/brokers/broker.ts";
import { startTcpProxy } from "../support/brokers/tcp-proxy.ts";
import { pythonCreate, pythonUpdate } from "../support/events/python-events.ts";
import { orderDetails } from "../support/http/http.ts";
import { runOperation } from "../support/programs/operations.ts";
import { runBounded } from "../support/programs/tied-process.ts";
import { startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 120_000;
const AUDIT_MS_MAX = 30_000;
/** What a connection carries before it ends: a restore's largest answer fits in, and of the letters a part. */
const CONNECTION_BYTES = 6_000_000;
const LETTER_BYTES = 10_000;
const LETTERS = 3_000;
const LETTERS_AT_ONCE = 50;

interface Page {
  readonly events?: readonly TimelineEvent[];
  readonly letters?: readonly DeadLetterShown[];
  readonly next: string | null;
}

/** All pages from the path on. */
async function pages(url: string): Promise<Page[]> {
  const found: Page[] = [];
  for (let next: string | null = ""; next !== null; next = found.at(-1)?.next ?? null) {
    const answer = await fetch(next === "" ? url : `${url}&after=${next}`);
    const text = await answer.text();
    expect([answer.status, answer.status === 200 ? "" : text]).toEqual([200, ""]);
    found.push(JSON.parse(text) as Page);
  }
  return found;
}

await brokerSuite("connections that each end after a few MB", ({ brokers, proxied }) => {
  test.skipIf(!proxied)(
    "a store is rebuilt over them, letters and all, and histories, letters and the tools' records are read to their ends",
    async () => {
      if (!proxied) return;
      await using backing = await brokerBacking(brokers, { TOPIC_PARTITIONS: "1" });
      const poison = "x".repeat(LETTER_BYTES);
      {
        await using program = await startProgram(backing);
        await program.ready();
        await backing.produce([{ partition: 0, key: "ORD-1", value: pythonCreate("ORD-1") }]);
        for (let n = 0; n < LETTERS; n += LETTERS_AT_ONCE)
          await backing.produce(Array.from({ length: LETTERS_AT_ONCE }, () => ({ partition: 0, key: "ORD-2", value: poison })));
        await backing.produce([{ partition: 0, key: "ORD-1", value: pythonUpdate("ORD-1", "shipped") }]);
        const status = async () => {
          const { body } = await orderDetails(program.orderUrl, "ORD-1");
          return body.order?.status;
        };
        await waitUntil("what follows the letters", async () => (await status()) === "shipped", { wait_ms_max: 30_000 });
        program.kill("SIGTERM");
        await program.exited();
      }
      const before = await totalLength(backing.log, backing.deadLetterTopic);
      await backing.forgetState();
      const proxy = await startTcpProxy({ listenPort: proxied.advertisedPort, targetPort: proxied.listenPort });
      try {
        proxy.cutEachAfter(CONNECTION_BYTES);
        const env = { ...backing.env, KAFKA_BROKERS: `127.0.0.1:${proxy.port}`, CONSUMER_GROUP: `again.${backing.topic}` };
        await using program = await startProgram({ env, dataDir: backing.dataDir });
        await program.ready(60_000);
        expect(await totalLength(backing.log, backing.deadLetterTopic)).toBe(before);
        const timeline = await pages(`${program.orderUrl}/orders/ORD-1/events?limit=100`);
        expect(timeline.flatMap(({ events = [] }) => events).map(({ outcome }) => outcome)).toEqual(["created", "updated"]);
        const listed = await pages(`${program.orderUrl}/dead-letters?limit=100`);
        const places = new Set(listed.flatMap(({ letters = [] }) => letters).map(({ origin }) => origin.offset));
        expect(places.size).toBe(LETTERS);
        expect(await pages(`${program.orderUrl}/dead-letters?reason=key_mismatch`)).toMatchObject([{ letters: [], next: null }]);
        const archived = await runOperation("archive", ["--dir", `${backing.dataDir}/archive`, "--direct"], env);
        expect(archived).toMatchObject({ code: 0 });
        const replayed = await runOperation("replay", ["--target", `${backing.topic}.copy`, "--direct"], env);
        expect(replayed).toMatchObject({ code: 0 });
        const audit = [process.execPath, "src/tools/audit/main.ts", "--services", program.orderUrl, "--rows"];
        const audited = await runBounded(audit, AUDIT_MS_MAX, { ...process.env, ...env });
        expect([audited.ok, audited.output]).toEqual([true, expect.any(String)]);
      } finally {
        await proxy.close();
      }
    },
    TIMEOUT_MS,
  );
});
