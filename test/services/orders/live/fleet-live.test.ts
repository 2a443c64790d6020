import { expect, test } from "bun:test";
import { FIGURES_PATH } from "../../../../src/services/orders/live/fleet-figures.ts";
import type { LiveFigures, LiveHistory } from "../../../../src/services/orders/live/live-figures.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { MemoryFleet } from "../../../support/fleets/memory-fleet.ts";
import { eventStream } from "../../../support/http/event-stream.ts";

const page = async (fleet: MemoryFleet, name: string) => eventStream(await fleet.ask(name, "/live"));

/** The first figures that are as wanted. */
async function figuresWhere(stream: ReturnType<typeof eventStream>, isWanted: (figures: LiveFigures) => boolean) {
  for (let tries = 0; tries < 15; tries++) {
    const figures = await stream.next<LiveFigures>("figures");
    if (isWanted(figures)) return figures;
  }
  throw new Error("no such figures came");
}

/** Rates are differences: each member must have looked at its partitions before. */
const sampledOnce = () => systemClock.sleep(1_200);

async function fleetOf(names: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<MemoryFleet> {
  const fleet = new MemoryFleet();
  for (const name of names) fleet.start(name, { env });
  await fleet.settled(...names);
  return fleet;
}

test("whichever member is asked shows all partitions with their owners and standbys, and the totals of all", async () => {
  await using fleet = await fleetOf(["a", "b", "c"], { STANDBYS: "1" });
  for (let order = 1; order <= 12; order++) await fleet.create(String(order));
  for (const name of ["a", "b", "c"]) {
    const stream = await page(fleet, name);
    const figures = await figuresWhere(stream, ({ orders, isWhole }) => isWhole && orders === 12);
    expect(figures).toMatchObject({ status: "ready", partitionCount: 6, lag: 0, held: 0 });
    expect(figures.members.map(({ url, status }) => `${url} ${status}`).toSorted()).toEqual(
      ["a", "b", "c"].map((each) => `http://${each} ready`),
    );
    expect(figures.members[0]?.url).toBe(`http://${name}`);
    for (const one of figures.partitions) {
      expect(fleet.held(new URL(one.owner!).hostname)).toContain(one.partition);
      expect(one.standbys).toHaveLength(1);
      expect(one.standbys?.[0]?.url).not.toBe(one.owner);
    }
    await stream.leave();
  }
}, 20_000);

test("the first figures are of all members, and rates are those of all", async () => {
  await using fleet = await fleetOf(["a", "b"]);
  // How much was appended to a partition is known from its second record on.
  for (let order = 100; order < 130; order++) await fleet.create(String(order));
  const stream = await page(fleet, "a");
  expect(await stream.next<LiveFigures>("figures")).toMatchObject({ isWhole: true, status: "ready" });
  await sampledOnce();
  for (let order = 1; order <= 30; order++) void fleet.create(String(order));
  let applied = 0;
  let appended = 0;
  for (let second = 0; second < 5; second++) {
    const figures = await stream.next<LiveFigures>("figures");
    applied += figures.applied_per_s;
    appended += figures.appended_per_s;
  }
  // Rates are rounded, and a second is not exact.
  expect(Math.abs(applied - 30)).toBeLessThanOrEqual(3);
  expect(Math.abs(appended - 30)).toBeLessThanOrEqual(3);
  await stream.leave();
}, 20_000);

test("a member that does not answer is named, and what is left is not told as the whole; nobody waits for it", async () => {
  await using fleet = await fleetOf(["a", "b"]);
  const stream = await page(fleet, "a");
  await stream.next("figures");
  const held = fleet.held("b");
  fleet.cut.add("a>b");
  const figures = await figuresWhere(stream, ({ isWhole }) => !isWhole);
  expect(figures.status).toBe("unreachable");
  expect(figures.members[1]).toMatchObject({ url: "http://b", status: "unreachable", partitions: held });
  expect(figures.partitions.map(({ partition }) => partition)).toEqual(fleet.held("a"));
  const began_ms = systemClock.now_ms();
  await stream.next("figures");
  expect(systemClock.now_ms() - began_ms).toBeLessThan(1_500);
  const late = await page(fleet, "a");
  expect(await late.next<LiveFigures>("figures")).toMatchObject({ isWhole: false });
  fleet.cut.clear();
  expect(await figuresWhere(stream, ({ isWhole }) => isWhole)).toMatchObject({ status: "ready" });
  await Promise.all([stream.leave(), late.leave()]);
}, 30_000);

test("each member is asked once a second at most, however many look, and not at all while nobody does", async () => {
  await using fleet = await fleetOf(["a", "b", "c"]);
  const hops = () => fleet.hops.filter(({ path }) => path === FIGURES_PATH);
  await systemClock.sleep(1_500);
  expect(hops()).toEqual([]);
  const began_ms = systemClock.now_ms();
  const streams = await Promise.all(Array.from({ length: 5 }, () => page(fleet, "a")));
  for (let second = 0; second < 4; second++) await Promise.all(streams.map((stream) => stream.next("figures")));
  const late = await page(fleet, "a");
  await late.next("figures");
  const elapsed_s = (systemClock.now_ms() - began_ms) / 1_000;
  for (const to of ["b", "c"]) {
    const asked = hops().filter((hop) => hop.to === to).length;
    expect(asked).toBeGreaterThanOrEqual(3);
    expect(asked).toBeLessThanOrEqual(1 + Math.floor(elapsed_s));
  }
  await Promise.all([...streams, late].map((stream) => stream.leave()));
  await systemClock.sleep(1_200);
  const before = hops().length;
  await systemClock.sleep(1_500);
  expect(hops().length).toBe(before);
}, 20_000);

test("the history is that of all members, and open where one of them is not known", async () => {
  await using fleet = await fleetOf(["a", "b"]);
  await sampledOnce();
  for (let order = 1; order <= 20; order++) await fleet.create(String(order));
  await systemClock.sleep(3_000);
  const stream = await page(fleet, "a");
  const history = await stream.next<LiveHistory>("history");
  const applied = history.applied_per_s.reduce<number>((sum, each) => sum + (each ?? 0), 0);
  expect(Math.abs(applied - 20)).toBeLessThanOrEqual(4);
  await stream.leave();
  fleet.cut.add("a>b");
  await systemClock.sleep(3_500);
  const cut = await page(fleet, "a");
  const without = await cut.next<LiveHistory>("history");
  expect(without.applied_per_s.slice(-3)).toEqual([null, null, null]);
  await cut.leave();
}, 30_000);
