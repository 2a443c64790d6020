import { expect, test } from "bun:test";
import { mergedMetrics, setMetrics } from "../../src/members/merged-metrics.ts";
import type { MemberView } from "../../src/members/messages.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";

const metricsOf = (member: number) => new Metrics("cart", () => 0, member);

test("each metric stands once, followed by the samples of all", async () => {
  const members = [metricsOf(0), metricsOf(1)];
  members[0]!.route("GET", "/a")(200, 0.001);
  members[1]!.route("GET", "/a")(200, 0.001);
  members[1]!.route("GET", "/b")(404, 0.001);
  const texts = await Promise.all(members.map((one) => one.text()));
  const merged = mergedMetrics(texts);

  const lines = (text: string) => text.split("\n").filter((line) => line !== "");
  const heads = lines(merged).filter((line) => line.startsWith("# "));
  expect(new Set(heads).size).toBe(heads.length);
  const samples = (text: string) => lines(text).filter((line) => !line.startsWith("#"));
  expect(samples(merged).toSorted()).toEqual(texts.flatMap(samples).toSorted());
  // Prometheus' format asks for all samples of a metric in one group, below its head.
  const families = merged.split("# HELP ").slice(1);
  for (const family of families) {
    const name = family.split(" ", 1)[0]!;
    for (const sample of samples(family.slice(family.indexOf("\n")))) expect(sample).toStartWith(name);
  }
});

test("a metric that only a later text has stands once, too", () => {
  const head = "# HELP b Something.\n# TYPE b gauge\n";
  expect(mergedMetrics(["", `${head}b{member="1"} 1\n`, `${head}b{member="2"} 2\n`])).toBe(
    `${head}b{member="1"} 1\nb{member="2"} 2\n`,
  );
});

test("the set counts who answers, and how often each was started again", () => {
  const view = (member: number, restarts: number): MemberView => ({ member, restarts, state: "listening", urls: {}, shared: [] });
  expect(setMetrics("cart", [view(0, 0), view(1, 4)], ({ member }) => member === 0).match(/^orders.*$/gm)).toEqual([
    'orders_member_up{component="cart",member="0"} 1',
    'orders_member_up{component="cart",member="1"} 0',
    'orders_member_restarts_total{component="cart",member="0"} 0',
    'orders_member_restarts_total{component="cart",member="1"} 4',
  ]);
});
