import { describe, expect, test } from "bun:test";
import { orderIn } from "../support/carts.ts";
import { orderCreated, recordOf } from "../support/events/orders.ts";
import { CART_FLEET_PARTITIONS, CartFleet } from "../support/fleets/cart-fleet.ts";
import { waitUntil } from "../support/wait-until.ts";

const NAMES = ["a", "b", "c"] as const;

/** Three carts that share the index out, each partition's to one of them. */
async function three(env: Readonly<Record<string, string>> = {}): Promise<CartFleet> {
  const fleet = new CartFleet();
  for (const name of NAMES) fleet.start(name, env);
  await fleet.settled(1, ...NAMES);
  await untilNoStraysAreLookedFor(fleet);
  return fleet;
}

let extra = 1_000_000;

/** The carts hear of each other's indexes with the next commits. */
const untilNoStraysAreLookedFor = (fleet: CartFleet) =>
  waitUntil("nobody is asked about strays", async () => {
    fleet.hops.length = 0;
    for (const name of fleet.alive)
      for (let partition = 0; partition < CART_FLEET_PARTITIONS; partition++) {
        const id = `ORD-${extra++}`;
        if ((await fleet.create(name, id)).code !== "ok") return false;
      }
    return fleet.hops.every(({ path }) => path === "/fleet/commands");
  });

const partitionOf = ({ position }: { readonly position: string }) => Number(position.split(":")[0]);
const order = (partition: number, n = 0) => orderIn(partition, CART_FLEET_PARTITIONS, n);
const codes = (answers: readonly { readonly code: string }[]) => answers.map(({ code }) => code);

describe("carts that share the index", () => {
  test("create and update at whichever cart is asked, by one hop at most", async () => {
    await using fleet = await three();
    for (let n = 1; n <= 12; n++) {
      const name = NAMES[n % 3]!;
      fleet.hops.length = 0;
      const created = await fleet.create(name, `ORD-${n}`);
      expect(created.code).toBe("ok");
      const isHere = fleet.held(name).includes(partitionOf(created));
      expect(fleet.hops.filter(({ path }) => path === "/fleet/commands")).toHaveLength(isHere ? 0 : 1);
      for (const other of NAMES) expect((await fleet.create(other, `ORD-${n}`)).code).toBe("ORDER_EXISTS");
      expect(codes([await fleet.update(NAMES[(n + 1) % 3]!, `ORD-${n}`, "confirmed")])).toEqual(["ok"]);
      expect(codes([await fleet.update(name, `ORD-${100 + n}`, "confirmed")])).toEqual(["ORDER_NOT_FOUND"]);
    }
  });

  test("of many that create one order at once, one is told 200", async () => {
    await using fleet = await three();
    for (let n = 1; n <= 20; n++) {
      const answers = await Promise.all(
        NAMES.flatMap((name) => [fleet.create(name, `ORD-${n}`), fleet.create(name, `ORD-${n}`)]),
      );
      expect(codes(answers).toSorted()).toEqual([...Array(5).fill("ORDER_EXISTS"), "ok"]);
    }
  });

  test("answer a retry under an idempotency key as before, at whichever cart, and refuse the key for another request", async () => {
    await using fleet = await three();
    const key = { "idempotency-key": '"k-1"' };
    const body = order(0);
    // A demo cart is made anew for each request, and still the same request.
    const first = await fleet.create("a", body, key);
    expect(first.code).toBe("ok");
    for (const name of NAMES) expect(await fleet.create(name, body, key)).toEqual(first);
    for (const name of NAMES)
      for (const other of [1, 2, 3]) expect((await fleet.create(name, order(other), key)).code).toBe("IDEMPOTENCY_KEY_REUSED");
    const update = { "idempotency-key": '"k-2"' };
    const updated = await fleet.update("b", body, "shipped", update);
    for (const name of NAMES) expect(await fleet.update(name, body, "shipped", update)).toEqual(updated);
  });

  test("refuse a key that was answered for another order a moment ago, also where a replica is asked that lags", async () => {
    await using fleet = new CartFleet();
    const names = [...NAMES, "d"];
    for (const name of names) fleet.start(name, { INDEX_REPLICAS: "2" });
    await fleet.settled(2, ...names);
    for (let n = 1; n <= 60; n++) {
      const key = { "idempotency-key": `"one-after-the-other-${n}"` };
      const [first, second] = [names[n % 4]!, names[(n >> 2) % 4]!];
      const answers = [await fleet.create(first, `ORD-1${n}`, key), await fleet.create(second, `ORD-2${n}`, key)];
      expect([n, ...codes(answers)]).toEqual([n, "ok", "IDEMPOTENCY_KEY_REUSED"]);
    }
  });

  test("of requests that differ and come under one key at once to all of them, one at most is told 200", async () => {
    await using fleet = new CartFleet();
    const names = [...NAMES, "d"];
    for (const name of names) fleet.start(name, { INDEX_REPLICAS: "2" });
    await fleet.settled(2, ...names);
    for (let n = 1; n <= 60; n++) {
      const key = { "idempotency-key": `"n-${n}"` };
      const answers = await Promise.all(names.map((name) => fleet.create(name, `ORD-${n}`, key, `CUST-${name}`)));
      const accepted = codes(answers).filter((code) => code === "ok");
      expect([n, accepted.length, codes(answers)]).toEqual([n, 1, codes(answers)]);
    }
  });

  test("find an order where another program put it, which is not where carts would", async () => {
    await using fleet = await three();
    const stray = order(1);
    const elsewhere = 4;
    await fleet.broker
      .connect("stranger")
      .producer()
      .append("orders.events", [recordOf(orderCreated({ orderId: stray }), { partition: elsewhere })]);
    for (const name of NAMES) {
      await waitUntil("it is known", async () => (await fleet.update(name, stray, "new")).code === "ok");
      expect((await fleet.create(name, stray)).code).toBe("ORDER_EXISTS");
      expect(partitionOf(await fleet.update(name, stray, "pending"))).toBe(elsewhere);
      const key = { "idempotency-key": `"${name}"` };
      const keyed = await fleet.update(name, stray, "shipped", key);
      expect(partitionOf(keyed)).toBe(elsewhere);
      for (const other of NAMES) expect(await fleet.update(other, stray, "shipped", key)).toEqual(keyed);
    }
  });

  test("go on after one is killed, as soon as its share is another's", async () => {
    await using fleet = await three();
    const [taken = 0] = fleet.held("c");
    expect((await fleet.create("a", order(taken))).code).toBe("ok");
    fleet.kill("c");
    await waitUntil("it is another's", async () => (await fleet.create("a", order(taken, 2))).code === "ok");
    for (const name of ["a", "b"]) expect((await fleet.create(name, order(taken))).code).toBe("ORDER_EXISTS");
  });

  test("with two copies of each index, go on at once", async () => {
    await using fleet = new CartFleet();
    for (const name of NAMES) fleet.start(name, { INDEX_REPLICAS: "2" });
    await fleet.settled(2, ...NAMES);
    fleet.kill("c");
    for (let partition = 0; partition < CART_FLEET_PARTITIONS; partition++)
      for (const name of ["a", "b"]) {
        const id = order(partition, name === "a" ? 0 : 1);
        expect([id, (await fleet.create(name, id)).code]).toEqual([id, "ok"]);
        expect((await fleet.create("b", id)).code).toBe("ORDER_EXISTS");
      }
  });

  test("do not know what became of a command whose answer does not come; under a key, a replica tells", async () => {
    await using fleet = await three();
    const [far = 0] = fleet.held("b");
    fleet.cut.add("b>a");
    expect((await fleet.create("a", order(far))).code).toBe("APPEND_OUTCOME_UNKNOWN");
    fleet.cut.clear();
    expect((await fleet.create("c", order(far))).code).toBe("ORDER_EXISTS");
  });

  test("place by more partitions once none can place by fewer, and find what lies where it was", async () => {
    await using fleet = await three();
    const created = [];
    for (let n = 1; n <= 30; n++) created.push(await fleet.create(NAMES[n % 3]!, `ORD-${n}`));
    expect(new Set(codes(created))).toEqual(new Set(["ok"]));
    await fleet.broker.connect("operator").addPartitions("orders.events", 9);
    await waitUntil("new partitions are used", async () => {
      const answer = await fleet.create("a", orderIn(8, 9, Math.floor(Math.random() * 1e3)));
      return answer.code === "ok" && partitionOf(answer) === 8;
    });
    for (let n = 1; n <= 30; n++)
      for (const name of NAMES) {
        expect([n, name, (await fleet.create(name, `ORD-${n}`)).code]).toEqual([n, name, "ORDER_EXISTS"]);
        expect(partitionOf(await fleet.update(name, `ORD-${n}`, "pending"))).toBe(partitionOf(created[n - 1]!));
      }
  });
});
