import { describe, expect, test } from "bun:test";
import type { PartitionHealth } from "../../src/http/health.ts";
import { expectProblem } from "../support/http/problems.ts";
import { MemoryFleet } from "../support/fleets/memory-fleet.ts";
import { waitUntil } from "../support/wait-until.ts";

const NAMES = ["a", "b", "c"] as const;
const OPERATOR = { OPERATOR_TOKEN: "night-shift-7" };

/** Three order services that share the partitions, and some orders. */
async function threeWithOrders(orders: number): Promise<{ fleet: MemoryFleet; positions: Map<string, string> }> {
  const fleet = new MemoryFleet();
  for (const name of NAMES) fleet.start(name, { env: OPERATOR });
  await fleet.settled(...NAMES);
  const positions = new Map<string, string>();
  for (let n = 1; n <= orders; n++) positions.set(`ORD-${n}`, await fleet.create(String(n)));
  for (const position of positions.values())
    for (const name of NAMES)
      expect((await fleet.ask(name, "/order-details?orderId=1", { headers: { "log-position": position } })).status).toBe(200);
  fleet.hops.length = 0;
  return { fleet, positions };
}

/** What /health/ready of the order service says that a person should see to. It is ready all the same. */
async function concernsAt(fleet: MemoryFleet, name: string): Promise<[code: string, detail: string][]> {
  const response = await fleet.ask(name, "/health/ready");
  expect(response.status).toBe(200);
  const { warnings = [] } = (await response.json()) as { warnings?: readonly { code: string; detail: string }[] };
  return warnings.map(({ code, detail }) => [code, detail]);
}

const partitionOf = (position = "") => Number(position.split(":")[0]);
const LISTING = "/getAllOrderIdsFromTopic?topicName=orders.events";

describe("an order", () => {
  test("is told by whichever order service is asked, by one hop at most", async () => {
    const { fleet, positions } = await threeWithOrders(12);
    await using _ = fleet;
    for (const [orderId, position] of positions)
      for (const name of NAMES) {
        fleet.hops.length = 0;
        const response = await fleet.ask(name, `/order-details?orderId=${orderId}`);
        expect([response.status, await response.json()]).toMatchObject([200, { order: { orderId } }]);
        expect(fleet.hops).toHaveLength(fleet.held(name).includes(partitionOf(position)) ? 0 : 1);
      }
  });

  test("is told at its Log-Position by whichever order service is asked, right after it was created", async () => {
    const { fleet } = await threeWithOrders(1);
    await using _ = fleet;
    for (let n = 2; n < 20; n++) {
      const position = await fleet.create(String(n));
      const headers = { "log-position": position };
      const answers = await Promise.all(NAMES.map((name) => fleet.ask(name, `/order-details?orderId=${n}`, { headers })));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    }
    const ahead = { headers: { "log-position": "0:1000" } };
    for (const name of NAMES)
      await expectProblem(await fleet.ask(name, "/order-details?orderId=1", ahead), "POSITION_NOT_REACHED");
  }, 20_000);

  test("is asked of the group again when its partition is taken away while its Log-Position is waited for", async () => {
    const { fleet } = await threeWithOrders(1);
    await using _ = fleet;
    const partitions = fleet.members.get("a")?.role.service.partitions;
    const [taken = 0, ...kept] = fleet.held("a");
    const ahead = { headers: { "log-position": `${taken}:1000` } };
    const answer = fleet.ask("a", "/order-details?orderId=1", ahead);
    await Bun.sleep(100);
    partitions?.assign(kept);
    await expectProblem(await answer, "OWNER_UNREACHABLE");
  });

  test("that does not exist is 404 once all were asked, and 503 while one does not answer", async () => {
    const { fleet } = await threeWithOrders(1);
    await using _ = fleet;
    for (const name of NAMES) await expectProblem(await fleet.ask(name, "/order-details?orderId=77"), "ORDER_NOT_FOUND");
    fleet.cut.add("a>b");
    await expectProblem(await fleet.ask("a", "/order-details?orderId=77"), "OWNER_UNREACHABLE");
    await expectProblem(await fleet.ask("c", "/order-details?orderId=77"), "ORDER_NOT_FOUND");
  });

  test("is told again soon after its owner was killed, and until then 503", async () => {
    const { fleet, positions } = await threeWithOrders(12);
    await using _ = fleet;
    const lost = fleet.held("c");
    const [orderId = ""] = [...positions].find(([, position]) => lost.includes(partitionOf(position))) ?? [];
    fleet.kill("c");
    const seen = new Set<string>();
    await waitUntil("for the order", async () => {
      const response = await fleet.ask("a", `/order-details?orderId=${orderId}`);
      seen.add(`${response.status} ${response.headers.get("retry-after")}`);
      return response.status === 200;
    });
    expect([...seen].filter((one) => one !== "200 null" && one !== "503 1")).toEqual([]);
  });
});

describe("the ids of all orders", () => {
  const ids = async (response: Response) => ((await response.json()) as { readonly orderIds: readonly string[] }).orderIds;

  test("are listed by whichever order service is asked, whole and in order", async () => {
    const { fleet, positions } = await threeWithOrders(30);
    await using _ = fleet;
    const all = [...positions.keys()].toSorted();
    for (const name of NAMES) {
      const response = await fleet.ask(name, LISTING);
      expect([response.status, response.headers.has("partitions-elsewhere")]).toEqual([200, false]);
      expect(await ids(response)).toEqual(all);
    }
  });

  test("are not begun to be told while an owner does not answer", async () => {
    const { fleet } = await threeWithOrders(1);
    await using _ = fleet;
    fleet.cut.add("b>a");
    await expectProblem(await fleet.ask("a", LISTING), "OWNER_UNREACHABLE");
    expect((await fleet.ask("c", LISTING)).status).toBe(200);
  });
});

test("an order's events are told by whichever order service is asked, from the log", async () => {
  const { fleet, positions } = await threeWithOrders(4);
  await using _ = fleet;
  for (const [orderId, position] of positions)
    for (const name of NAMES) {
      const response = await fleet.ask(name, `/orders/${orderId}/events`, { headers: { "log-position": position } });
      const partition = partitionOf(position);
      expect([response.status, await response.json()]).toMatchObject([
        200,
        { orderId, partition, events: [{ outcome: "created" }] },
      ]);
    }
  for (const name of NAMES) await expectProblem(await fleet.ask(name, "/orders/77/events"), "ORDER_NOT_FOUND");
});

test("an order's events are not told while an owner does not answer, as it may have more of them", async () => {
  const { fleet, positions } = await threeWithOrders(30);
  await using _ = fleet;
  const atC = fleet.held("c");
  const [orderId] = [...positions].find(([, position]) => atC.includes(partitionOf(position)))!;
  fleet.cut.add("a>b");
  await expectProblem(await fleet.ask("a", `/orders/${orderId}/events`), "OWNER_UNREACHABLE");
  expect((await fleet.ask("c", `/orders/${orderId}/events`)).status).toBe(200);
});

describe("a partition", () => {
  test("is told by whichever order service is asked, row by row, and money as its owner writes it", async () => {
    const { fleet, positions } = await threeWithOrders(30);
    await using _ = fleet;
    for (let partition = 0; partition < 6; partition++) {
      const texts = await Promise.all(
        NAMES.map(async (name) => (await fleet.ask(name, `/partitions/${partition}/orders`)).text()),
      );
      expect(new Set(texts).size).toBe(1);
      const { orders } = JSON.parse(texts[0]!) as { orders: { orderId: string }[] };
      const expected = [...positions].filter(([, position]) => partitionOf(position) === partition).map(([orderId]) => orderId);
      expect(orders.map(({ orderId }) => orderId)).toEqual(expected.toSorted());
    }
    for (const name of NAMES) {
      await expectProblem(await fleet.ask(name, "/partitions/6/orders"), "NOT_FOUND");
      expect((await fleet.ask(name, "/partitions/0/orders?limit=0")).status).toBe(422);
    }
    expect(fleet.hops.every(({ path }) => path.startsWith("/fleet/partitions/"))).toBe(true);
  });

  test("is rebuilt by its owner, whoever was told to, and only for an operator", async () => {
    const { fleet } = await threeWithOrders(2);
    await using _ = fleet;
    const [partition] = fleet.held("b");
    const rebuild = (authorization: string) =>
      fleet.ask("a", `/partitions/${partition}/rebuild`, { method: "POST", headers: { authorization } });
    await expectProblem(await rebuild("Bearer day-shift"), "OPERATOR_TOKEN_NEEDED");
    expect(fleet.hops).toEqual([]);
    const states = new Set<PartitionHealth["state"]>();
    expect((await rebuild(`Bearer ${OPERATOR.OPERATOR_TOKEN}`)).status).toBe(202);
    await waitUntil("for the rebuild", async () => {
      const { partitions } = (await (await fleet.ask("b", "/health/ready")).json()) as { partitions: readonly PartitionHealth[] };
      const { state = "stopped" } = partitions.find((one) => one.partition === partition) ?? {};
      states.add(state);
      return state === "running" && states.size > 1;
    });
    expect(fleet.hops.map(({ from, to, path }) => [from, to, path])).toEqual([
      ["a", "b", `/fleet/partitions/${partition}/rebuild`],
    ]);
  });
});

describe("an order service of another fleet", () => {
  test("is refused, and both say what to do", async () => {
    const { fleet } = await threeWithOrders(30);
    await using _ = fleet;
    const { logged } = fleet.start("d", { secret: "another secret".padEnd(32, "-") });
    await fleet.settled(...NAMES, "d");
    const { detail } = await expectProblem(await fleet.ask("d", LISTING), "OWNER_UNREACHABLE");
    expect(detail).toContain("PEER_TOKEN_FILE");
    await expectProblem(await fleet.ask("a", LISTING), "OWNER_UNREACHABLE");
    for (const lines of [logged, fleet.members.get("a")!.logged])
      expect(lines.filter((line) => line.includes("PEER_TOKEN_FILE"))).not.toEqual([]);
    expect([...logged].join("")).not.toContain("another secret");
    for (const [name, theirs] of [
      ["d", /^The member at http:\/\/[abc] refuses this member's token, .*PEER_TOKEN_FILE/],
      ["d", /^This member refuses the token of the member at http:\/\/a, .*PEER_TOKEN_FILE/],
      ["a", /^The member at http:\/\/d refuses this member's token, /],
      ["a", /^This member refuses the token of the member at http:\/\/d, /],
    ] as const)
      expect(await concernsAt(fleet, name)).toContainEqual(["peer-tokens-differ", expect.stringMatching(theirs)]);
  });

  test("gets no answer to a hop of its own making", async () => {
    const { fleet } = await threeWithOrders(1);
    await using _ = fleet;
    for (const path of [
      "/fleet/orders/ORD-1?partitions=0",
      "/fleet/order-ids?partitions=0&after=",
      "/fleet/partitions/0/orders",
    ]) {
      const nothing = await fleet.ask("a", path);
      expect(nothing.headers.get("www-authenticate")).toBe('Fleet realm="members"');
      await expectProblem(nothing, "PEER_TOKEN_NEEDED");
      await expectProblem(await fleet.ask("a", path, { headers: { "fleet-token": "guess" } }), "PEER_TOKEN_WRONG");
    }
  });
});

test("two that say that they are reached at the same place are told apart, and all say what to do", async () => {
  await using fleet = new MemoryFleet();
  fleet.start("a");
  fleet.start("b", { endpoint: "http://a" });
  fleet.start("c");
  await fleet.settled("a", "b", "c");
  await fleet.create("1");
  const codes = await Promise.all(
    Array.from({ length: 10 }, async (_, n) => (await fleet.ask("a", `/order-details?orderId=${n}`)).status),
  );
  expect(codes.filter((status) => status !== 200 && status !== 503)).toEqual([]);
  const { detail } = await expectProblem(await fleet.ask("a", LISTING), "OWNER_UNREACHABLE");
  expect(detail).toContain("ADVERTISED_URL");
  const loggedAt = (name: string) => fleet.members.get(name)!.logged.join("");
  await waitUntil("all log it, once no former session of the same service can be left", () =>
    NAMES.every((name) => loggedAt(name).includes("2 members say")),
  );
  for (const name of NAMES) {
    expect(await concernsAt(fleet, name)).toEqual([
      [
        "url-shared",
        expect.stringMatching(/^2 members say that they are reached at http:\/\/a: .*Set ADVERTISED_URL for each, /),
      ],
    ]);
    expect(loggedAt(name)).toContain("Set ADVERTISED_URL for each, ");
    expect(await (await fleet.ask(name, "/metrics")).text()).toMatch(/orders_fleet_concern\{[^}]*concern="url-shared"[^}]*\} 1/);
  }
});

test("hops, members and who does not answer are in the metrics, and hops are not counted as requests", async () => {
  const { fleet } = await threeWithOrders(12);
  await using _ = fleet;
  const metricsOf = async (name: string) => {
    const text = await (await fleet.ask(name, "/metrics")).text();
    return (metric: string) =>
      text
        .split("\n")
        .filter((line) => line.startsWith(metric))
        .map((line) => line.split(" "));
  };
  const valueOf = (lines: readonly (readonly string[])[], label: string) =>
    Number(lines.find(([series]) => series?.includes(label))?.[1]);
  for (let n = 1; n <= 12; n++) await fleet.ask("a", `/order-details?orderId=${n}`);
  const before = await metricsOf("a");
  expect(before("orders_fleet_members").map(([, value]) => value)).toEqual(["3"]);
  expect(valueOf(before("orders_fleet_hops_total"), 'outcome="answered"')).toBeGreaterThan(0);
  expect(valueOf(before("orders_fleet_peer_given_up"), 'peer="http://b"')).toBe(0);
  for (const name of NAMES)
    expect((await metricsOf(name))("http_request_duration_seconds_count").join()).not.toContain("/fleet/");

  fleet.dead.add("b");
  for (let n = 0; n < 40; n++) await fleet.ask("a", "/order-details?orderId=77").then(({ status }) => expect(status).toBe(503));
  const after = await metricsOf("a");
  expect(valueOf(after("orders_fleet_peer_given_up"), 'peer="http://b"')).toBe(1);
  expect(valueOf(after("orders_fleet_hops_total"), 'outcome="no-answer"')).toBeGreaterThan(0);
  expect(valueOf(after("orders_fleet_hops_total"), 'outcome="breaker-open"')).toBeGreaterThan(0);
  expect(Number(after("orders_fleet_hop_retries_total")[0]?.[1])).toBeGreaterThan(0);
}, 30_000);

describe("what the fleet holds", () => {
  interface Told {
    readonly partitionCount: number;
    readonly partitions: readonly { readonly partition: number; readonly owner: string; readonly digest?: string }[];
    readonly members: readonly {
      readonly url: string;
      readonly status: string;
      readonly reason?: string;
      readonly partitions: readonly number[];
    }[];
  }
  const toldBy = async (fleet: MemoryFleet, name: string): Promise<Told> =>
    (await fleet.ask(name, "/partitions")).json() as Promise<Told>;

  test("is told by whichever order service is asked: each partition with its owner, and all members", async () => {
    const { fleet } = await threeWithOrders(3);
    await using _ = fleet;
    const all = await Promise.all(NAMES.map((name) => toldBy(fleet, name)));
    for (const { partitions, partitionCount, members } of all) {
      expect([partitionCount, partitions.map(({ partition }) => partition)]).toEqual([6, [0, 1, 2, 3, 4, 5]]);
      for (const { partition, owner, digest } of partitions) {
        expect(fleet.held(new URL(owner).hostname)).toContain(partition);
        expect(digest).toBeString();
      }
      expect(members.map(({ status }) => status)).toEqual(["ready", "ready", "ready"]);
      expect(members.map(({ url }) => url).toSorted()).toEqual(NAMES.map((name) => `http://${name}`));
    }
    expect(all[0]!.partitions).toEqual(all[1]!.partitions);
  });

  test("shows a member that does not answer as that, with what it owns", async () => {
    const { fleet } = await threeWithOrders(1);
    await using _ = fleet;
    fleet.dead.add("b");
    const { partitions, members } = await toldBy(fleet, "a");
    expect(members.find(({ url }) => url === "http://b")).toEqual({
      url: "http://b",
      status: "unreachable",
      reason: expect.stringContaining("does not answer"),
      partitions: fleet.held("b"),
    });
    expect(partitions.map(({ partition }) => partition)).toEqual(
      [...fleet.held("a"), ...fleet.held("c")].toSorted((x, y) => x - y),
    );
  });
});
