import { describe, expect, test } from "bun:test";
import { parseLogPosition } from "../../src/log/log-position.ts";
import { MemoryFleet } from "../support/fleets/memory-fleet.ts";
import { expectProblem } from "../support/http/problems.ts";
import { waitUntil } from "../support/wait-until.ts";

const ORDERS = 12;
const LISTING = "/getAllOrderIdsFromTopic?topicName=orders.events";

/** Order services that share the partitions, and orders that each owner and standby has. */
async function settled(names: readonly string[], standbys: number) {
  const fleet = new MemoryFleet();
  for (const name of names) fleet.start(name, { env: { STANDBYS: String(standbys) } });
  await fleet.settled(...names);
  const positions = new Map<string, string>();
  for (let n = 1; n <= ORDERS; n++) positions.set(`ORD-${n}`, await fleet.create(String(n)));
  for (const [orderId, position] of positions)
    for (const name of names)
      expect((await fleet.ask(name, details(orderId), { headers: { "log-position": position } })).status).toBe(200);
  const holders = names.flatMap((name) => {
    const { partitions } = fleet.members.get(name)!.role.service;
    return [...partitions.held(), ...(standbys > 0 ? partitions.standbys() : [])];
  });
  const applied = [...positions.values()].map((position) => parseLogPosition(position)!);
  await waitUntil("for the standbys to have them", () =>
    applied.every(({ partition, offset }) => {
      const those = holders.filter((holder) => holder.partition === partition);
      return those.length === 1 + standbys && those.every(({ nextOffset }) => nextOffset > offset);
    }),
  );
  fleet.hops.length = 0;
  const ofOwner = (name: string) => {
    const held = fleet.held(name);
    return [...positions].find(([, position]) => held.includes(parseLogPosition(position)!.partition))![0];
  };
  return { fleet, positions, ofOwner };
}

const details = (orderId: string) => `/order-details?orderId=${orderId}`;
/** The status, and whether the answer is marked as stale. */
const toldIn = async (response: Response) => {
  const { order } = (await response.json()) as { readonly order?: { readonly status: string } };
  return { code: response.status, status: order?.status, isStale: response.headers.has("age") };
};

/** How many stale answers the order service has counted. */
const countedAt = async (fleet: MemoryFleet, name: string): Promise<number> =>
  Number(/^orders_stale_answers_total\{[^}]*\} (\d+)$/m.exec(await (await fleet.ask(name, "/metrics")).text())?.[1]);

/** Asks until the answer is unmarked; returns what was told before, which must be `old` and marked. */
async function untilFresh(fleet: MemoryFleet, name: string, orderId: string) {
  const seen: Awaited<ReturnType<typeof toldIn>>[] = [];
  await waitUntil("an unmarked answer", async () => {
    const told = await toldIn(await fleet.ask(name, details(orderId)));
    if (told.code === 200 && !told.isStale) return true;
    seen.push(told);
    return false;
  });
  return seen;
}

describe("while the owner of an order's partition does not answer", () => {
  test("its standby tells the order, with its age and its position, by one more hop at most", async () => {
    const { fleet, positions, ofOwner } = await settled(["a", "b", "c"], 1);
    await using _ = fleet;
    const orderId = ofOwner("c");
    fleet.kill("c");
    for (const name of ["a", "b"]) {
      fleet.hops.length = 0;
      const response = await fleet.ask(name, details(orderId));
      expect([response.status, await response.json()]).toMatchObject([200, { order: { orderId } }]);
      expect(Number(response.headers.get("age"))).toBeWithin(1, 11);
      const position = parseLogPosition(response.headers.get("log-position") ?? "");
      const created = parseLogPosition(positions.get(orderId)!)!;
      expect([position?.partition, (position?.offset ?? 0) >= created.offset]).toEqual([created.partition, true]);
      expect(fleet.hops.filter(({ to }) => to !== "c").length).toBeLessThan(2);
    }
    await untilFresh(fleet, "a", orderId);
  }, 20_000);

  test("no such read fails, until the standby owns the partition and tells the order unmarked", async () => {
    const { fleet, ofOwner } = await settled(["a", "b", "c"], 1);
    await using _ = fleet;
    const orderId = ofOwner("c");
    fleet.kill("c");
    const seen = await untilFresh(fleet, "a", orderId);
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.filter(({ code, isStale }) => code !== 200 || !isStale)).toEqual([]);
  }, 20_000);

  test("who asks for a Log-Position, for an order that the standby does not have, or for more than an order is told to ask again", async () => {
    const { fleet, positions, ofOwner } = await settled(["a", "b", "c"], 1);
    await using _ = fleet;
    const orderId = ofOwner("c");
    fleet.dead.add("c");
    const strict = { headers: { "log-position": positions.get(orderId)! } };
    await expectProblem(await fleet.ask("a", details(orderId), strict), "OWNER_UNREACHABLE");
    for (const path of [details("77"), LISTING, `/orders/${orderId}/events`])
      await expectProblem(await fleet.ask("a", path), "OWNER_UNREACHABLE");
    expect((await fleet.ask("a", details(orderId))).status).toBe(200);
  }, 20_000);

  test("each such answer counts once, at whoever gives it to the client, and no other answer does", async () => {
    const { fleet, positions, ofOwner } = await settled(["a", "b", "c"], 1);
    await using _ = fleet;
    const orderId = ofOwner("c");
    const { partition } = parseLogPosition(positions.get(orderId)!)!;
    const names = ["a", "b"] as const;
    const isStandby = (name: string) =>
      [...fleet.members.get(name)!.role.service.partitions.standbys()].some((standby) => standby.partition === partition);
    const other = names.find((name) => !isStandby(name))!;
    const counted = async () => {
      // Each gives its last answer again for 250 ms.
      await Bun.sleep(300);
      return Promise.all(names.map((name) => countedAt(fleet, name)));
    };
    for (const name of names) expect((await fleet.ask(name, details(orderId))).headers.has("age")).toBe(false);
    fleet.dead.add("c");
    await expectProblem(await fleet.ask("a", details("77")), "OWNER_UNREACHABLE");
    const strict = { headers: { "log-position": positions.get(orderId)! } };
    await expectProblem(await fleet.ask("a", details(orderId), strict), "OWNER_UNREACHABLE");
    expect(await counted()).toEqual([0, 0]);
    fleet.hops.length = 0;
    for (let n = 0; n < 3; n++)
      expect(await toldIn(await fleet.ask(other, details(orderId)))).toMatchObject({ code: 200, isStale: true });
    expect(fleet.hops.filter(({ to }) => to !== "c")).toHaveLength(3);
    expect(await counted()).toEqual(names.map((name) => (name === other ? 3 : 0)));
    for (const name of names) await fleet.ask(name, details(orderId));
    expect(await counted()).toEqual(names.map((name) => (name === other ? 4 : 1)));
  }, 20_000);

  test("it is 503 without standbys", async () => {
    const { fleet, ofOwner } = await settled(["a", "b", "c"], 0);
    await using _ = fleet;
    const orderId = ofOwner("c");
    fleet.dead.add("c");
    await expectProblem(await fleet.ask("a", details(orderId)), "OWNER_UNREACHABLE");
  });
});

describe("an owner that is cut off from the log", () => {
  test("tells what it has with its age, since another one may own the partition, and 503 to whoever wants more than that", async () => {
    const { fleet, positions, ofOwner } = await settled(["a", "b"], 0);
    await using _ = fleet;
    const orderId = ofOwner("b");
    fleet.away.add("b");
    const from_ms = performance.now();
    await waitUntil("b's membership to lapse", () => fleet.members.get("b")!.role.service.partitions.mayBeReplaced);
    await waitUntil("an age of more than 1 s", async () => {
      const response = await fleet.ask("b", details(orderId));
      expect([response.status, response.headers.has("log-position")]).toEqual([200, true]);
      const age_s = Number(response.headers.get("age"));
      expect(age_s).toBeGreaterThanOrEqual(Math.floor((performance.now() - from_ms) / 1_000));
      return age_s > 1;
    });
    const strict = { headers: { "log-position": positions.get(orderId)! } };
    await expectProblem(await fleet.ask("b", details(orderId), strict), "OWNER_UNREACHABLE");
    for (const path of [LISTING, `/orders/${orderId}/events`]) expect((await fleet.ask("b", path)).status).toBe(503);
  }, 20_000);

  test("asks the standby, which owns the partition by now, if it gets through to that", async () => {
    const { fleet, ofOwner } = await settled(["a", "b"], 1);
    await using _ = fleet;
    const orderId = ofOwner("b");
    fleet.away.add("b");
    await waitUntil("a to own all", () => fleet.held("a").length === 6);
    await fleet.ask("a", details(orderId), { headers: { "log-position": await fleet.update(orderId, "shipped") } });
    await waitUntil("what is new at b", async () => {
      const told = await toldIn(await fleet.ask("b", details(orderId)));
      expect([told.code, told.isStale && told.status === "shipped"]).toEqual([200, false]);
      return told.status === "shipped";
    });
  }, 20_000);

  test("tells nothing old unmarked once it is back, although it owns the partition again", async () => {
    const { fleet, ofOwner } = await settled(["a", "b"], 0);
    await using _ = fleet;
    const orderId = ofOwner("b");
    fleet.away.add("b");
    await waitUntil("a to own all", () => fleet.held("a").length === 6);
    const position = await fleet.update(orderId, "shipped");
    await waitUntil("a to tell it", async () => {
      const response = await fleet.ask("a", details(orderId), { headers: { "log-position": position } });
      return response.status === 200;
    });
    fleet.away.delete("b");
    let isBack = false;
    await waitUntil("b to own partitions again, and to tell the order", async () => {
      const told = await toldIn(await fleet.ask("b", details(orderId)));
      if (told.code === 200 && !told.isStale) expect(told.status).toBe("shipped");
      isBack ||= fleet.held("a").length < 6;
      return isBack && told.code === 200 && !told.isStale;
    });
  }, 20_000);
});
