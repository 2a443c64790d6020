import { expect, test } from "bun:test";
import { answerIn, filledIn, runPeer } from "./peer.ts";

const job = { brokers: "localhost:9092", topic: "orders", events: "8", partitions: "12" };

test("what is in braces is filled in; what nobody knows stays", () => {
  expect(filledIn("limit {brokers} {topic} {partitions} {topic} '{x}'", job)).toBe("limit localhost:9092 orders 12 orders '{x}'");
});

test("a peer's rate is in the last JSON line that has one", () => {
  const output = '{"events_per_s":1}\n{ not JSON\n{"events_per_s_processing":2,"events_per_s":3,"events":7}\n{"other":4}\nbye\n';
  expect(answerIn(output)).toEqual({ events_per_s: 2, events: 7 });
  expect(answerIn("nothing\n{}\n")).toBeUndefined();
});

test.skipIf(process.platform !== "linux")("the time of a peer is that of the processes that it starts, too", async () => {
  const burn = "let n = 0; while (process.cpuUsage().user < 500_000) for (let i = 0; i < 1_000_000; i++) n += i % 7;";
  const tell = "console.log(JSON.stringify({ events_per_s: Number(process.argv.at(-1)) }))";
  const parent = `Bun.spawnSync([process.execPath, "-e", ${JSON.stringify(burn)}]); ${tell}`;
  const { events_per_s, cost } = await runPeer(
    { name: "peer", command: `'${process.execPath}' -e '${parent}' {events}` },
    job,
    20_000,
  );
  expect(events_per_s).toBe(8);
  expect(cost.cpu_s).toBeGreaterThan(0.4);
  expect(cost.peak_mib).toBeGreaterThan(10);
});

test("a peer that does not end in time is ended, and that is said", async () => {
  const run = runPeer({ name: "slow", command: "sleep 30" }, job, 200);
  expect(await run.catch((e: Error) => e.message)).toBe("slow was ended by SIGKILL, it may run 200 ms: sleep 30");
});

test("a peer that tells no rate is told, with what it said", async () => {
  const run = runPeer({ name: "mute", command: "echo done with {topic}" }, job, 20_000);
  expect(await run.catch((e: Error) => e.message)).toContain(
    "mute printed no JSON line with events_per_s_processing or events_per_s",
  );
});
