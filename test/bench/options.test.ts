import { expect, test } from "bun:test";
import { optionsOf } from "./options.ts";

test("without options: a million hot events, the steps of a few minutes, on each log", () => {
  const { load, steps, logs, turns } = optionsOf([]);
  expect({ load, steps, logs, turns }).toEqual({
    load: { shape: "hot", orders: 250_000, updatesPerOrder: 3 },
    steps: ["apply", "creates", "readable", "restore", "memory"],
    logs: ["embedded", "kafka"],
    turns: 3,
  });
});

test("--cold: four million orders, each updated once", () => {
  expect(optionsOf(["--cold"]).load).toEqual({ shape: "cold", orders: 4_000_000, updatesPerOrder: 1 });
});

test("--events is another way to say --orders", () => {
  expect(optionsOf(["--events", "300000"]).load).toEqual({ shape: "hot", orders: 75_000, updatesPerOrder: 3 });
  expect(optionsOf(["--cold", "--events", "300000"]).load).toEqual({ shape: "cold", orders: 150_000, updatesPerOrder: 1 });
});

test("--growth and --live add their step to those that are run anyway, or to those of --only", () => {
  expect(optionsOf(["--growth", "1000,2000"]).steps).toContain("growth");
  const { steps, liveRates } = optionsOf(["--only", "apply", "--live", "2000,20000"]);
  expect({ steps, liveRates }).toEqual({ steps: ["apply", "live"], liveRates: [2_000, 20_000] });
});

test("--takeover adds its step with the orders of the partition, a million of them without it", () => {
  const { steps, takeoverOrders } = optionsOf(["--only", "apply", "--takeover", "5000"]);
  expect({ steps, takeoverOrders }).toEqual({ steps: ["apply", "takeover"], takeoverOrders: 5_000 });
  expect(optionsOf(["--only", "takeover"]).takeoverOrders).toBe(1_000_000);
});

test("--peer may be given several times; a name ends at the first =", () => {
  const { peers } = optionsOf(["--peer", "Kafka Streams=java -Dx=y {topic}", "--peer", "rust=limit {brokers}"]);
  expect(peers).toEqual([
    { name: "Kafka Streams", command: "java -Dx=y {topic}" },
    { name: "rust", command: "limit {brokers}" },
  ]);
});

test.each([
  [["--events", "10"], "--events is 10; it must be a multiple of 4."],
  [["--events", "8", "--orders", "2"], "--orders and --events say the same thing: give one of them."],
  [["--turns", "0"], "--turns is 0; it must be an integer from 1 to 99."],
  [["--processes", "1,two"], "--processes is two; it must be an integer from 1 to 16."],
  [
    ["--only", "apply,aply"],
    "--only has aply; it takes apply, creates, readable, restore, memory, index, start, growth, live, hop, takeover, snapshots, instances, carts.",
  ],
  [["--peer", "/opt/limit {topic}"], "--peer is /opt/limit {topic}; it must be name=command."],
])("%j is refused with a sentence", (args, sentence) => {
  expect(() => optionsOf(args)).toThrow(sentence);
});
