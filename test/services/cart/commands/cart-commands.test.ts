import { describe, expect, test } from "bun:test";
import { type Answer, codeOf, ListCart, ListLog, orderIn } from "../../../support/carts.ts";

const lengths = (log: ListLog) => log.partitions.map((records) => records.length);
const codes = async (...answers: Promise<Answer>[]) => (await Promise.all(answers)).map(codeOf);
const detail = (given: Answer): string => (typeof given === "string" ? given : given.message);

function twoCarts(partitionCount = 2) {
  const log = new ListLog(partitionCount);
  return { log, a: new ListCart(log, 2_000), b: new ListCart(log, 2_000) };
}

function oneCart(partitionCount = 2) {
  const log = new ListLog(partitionCount);
  const cart = new ListCart(log);
  return { log, cart, home: cart.held[0]!, other: cart.held[1]!, order: (n = 0) => orderIn(0, partitionCount, n) };
}

describe("one Idempotency-Key at two carts at once", () => {
  test("two different updates of an order: the first in the log is answered 200, the other one is refused", async () => {
    const { log, a, b } = twoCarts();
    await a.create("ORD-1");
    log.sendTogether(2);
    const answers = await Promise.all([a.update("ORD-1", "shipped", "k"), b.update("ORD-1", "cancelled", "k")]);
    expect(answers.map(codeOf).toSorted()).toEqual(["IDEMPOTENCY_KEY_REUSED", "ok"]);
    const first = log.partitions.flat().find(({ value }) => String(value).includes("STATUS_UPDATED"))!;
    expect(String(first.value)).toContain(codeOf(answers[0]) === "ok" ? "shipped" : "cancelled");
  });

  test("the same update twice: both get the first one's answer", async () => {
    const { log, a, b } = twoCarts();
    await a.create("ORD-1");
    log.sendTogether(2);
    const answers = await Promise.all([a.update("ORD-1", "shipped", "k"), b.update("ORD-1", "shipped", "k")]);
    expect(answers[0]).toBe(answers[1]);
    expect(answers.map(codeOf)).toEqual(["ok", "ok"]);
    expect(log.partitions.flat()).toHaveLength(3);
  });

  test("two different creates of one order: the first in the log is answered 200, the other one is refused (I8)", async () => {
    const { log, a, b } = twoCarts();
    log.sendTogether(2);
    const answers = await Promise.all([a.create("ORD-1", "k", "A"), b.create("ORD-1", "k", "B")]);
    expect(answers.map(codeOf).toSorted()).toEqual(["IDEMPOTENCY_KEY_REUSED", "ok"]);
    expect(String(log.partitions.flat()[0]!.value)).toContain(codeOf(answers[0]) === "ok" ? '"A"' : '"B"');
  });

  test("events of two orders both count, and each one's retry gets its first answer", async () => {
    const { log, a, b } = twoCarts();
    const [one, two] = [orderIn(0, 2), orderIn(1, 2)];
    await a.create(one);
    await a.create(two);
    log.sendTogether(2);
    const answers = await Promise.all([a.update(one, "shipped", "k"), b.update(two, "shipped", "k")]);
    expect(answers.map(codeOf)).toEqual(["ok", "ok"]);
    expect(await Promise.all([b.update(one, "shipped", "k"), a.update(two, "shipped", "k")])).toEqual(answers);
    expect(await codes(a.update(one, "pending", "k"), b.update(orderIn(0, 2, 1), "shipped", "k"))).toEqual([
      "IDEMPOTENCY_KEY_REUSED",
      "IDEMPOTENCY_KEY_REUSED",
    ]);
  });

  test("one after the other: another request is refused before it is appended", async () => {
    const { log, a, b } = twoCarts();
    await a.create("ORD-1", "k");
    expect(codeOf(await b.update("ORD-1", "shipped", "k"))).toBe("IDEMPOTENCY_KEY_REUSED");
    expect(codeOf(await b.create("ORD-2", "k"))).toBe("IDEMPOTENCY_KEY_REUSED");
    expect(log.partitions.flat()).toHaveLength(1);
  });

  test("a keyed create is not taken for the first while one without a key lies before it", async () => {
    const { log, a, b } = twoCarts();
    log.sendTogether(2);
    const answers = await Promise.all([a.create("ORD-1", undefined, "A"), b.create("ORD-1", "k", "B")]);
    expect(answers.map(codeOf).toSorted()).toEqual(["ORDER_EXISTS", "ok"]);
  });
});

describe("a create", () => {
  const standings = {
    halted: [{ state: "halted", isComplete: false, halted: "Another log." }, "PARTITION_HALTED"],
    "in doubt": [{ doubt: "It has another leader." }, "LOG_UNAVAILABLE"],
    "not caught up": [{ state: "catching-up", isComplete: false }, "CATCHING_UP"],
    suspended: [{ state: "suspended", hindered: "The disk is full." }, "PARTITION_BLOCKED"],
    "without a leader": [{ hindered: "It has no leader." }, "LOG_UNAVAILABLE"],
  } as const;

  test.each(Object.entries(standings))("whose partition is %s: 503 with the cause, and nothing is appended", async (_, given) => {
    const { log, cart, home, order } = oneCart();
    const [standing, code] = given;
    Object.assign(home, standing);
    const refused = await cart.create(order());
    expect([codeOf(refused), lengths(log)]).toEqual([code, [0, 0]]);
    const why = home.halted ?? home.doubt ?? home.hindered;
    if (why) expect(detail(refused)).toContain(why);
  });

  test("of an order that is known from a partition which is halted or in doubt: 503, no 409", async () => {
    const { cart, home, order } = oneCart();
    await cart.create(order());
    home.read();
    expect(codeOf(await cart.create(order()))).toBe("ORDER_EXISTS");
    home.hindered = "It has no leader.";
    expect(codeOf(await cart.create(order()))).toBe("ORDER_EXISTS");
    home.hindered = undefined;
    home.doubt = "It has another leader.";
    expect(codeOf(await cart.create(order()))).toBe("LOG_UNAVAILABLE");
    home.doubt = undefined;
    Object.assign(home, standings.halted[0]);
    expect(codeOf(await cart.create(order()))).toBe("PARTITION_HALTED");
  });

  test("waits for its partition to be followed again", async () => {
    const { cart, home, order } = oneCart();
    home.doubt = "It has another leader.";
    setTimeout(() => (home.doubt = undefined), 50);
    expect(codeOf(await cart.create(order()))).toBe("ok");
  });

  test("is not held up by another partition that is hindered or halted, but by one that was never read to its end", async () => {
    const { cart, other, order } = oneCart();
    other.hindered = "It has no leader.";
    expect(codeOf(await cart.create(order(0)))).toBe("ok");
    Object.assign(other, standings.halted[0]);
    expect(codeOf(await cart.create(order(1)))).toBe("ok");
    Object.assign(other, { state: "catching-up", isComplete: false });
    expect(codeOf(await cart.create(order(2)))).toBe("LOG_UNAVAILABLE");
    other.hindered = undefined;
    expect(codeOf(await cart.create(order(2)))).toBe("CATCHING_UP");
  });

  test("that is acknowledged before what was read halts its partition: the log lost its end", async () => {
    const { log, cart, home, order } = oneCart();
    for (let n = 0; n < 3; n++) await cart.create(order(n));
    home.read();
    log.partitions[0]!.length = 1;
    const refused = await cart.create(order(3));
    expect(codeOf(refused)).toBe("APPEND_OUTCOME_UNKNOWN");
    expect(detail(refused)).toMatch(/offset 1 of partition 0.*before 3 was known/);
    expect(home.state).toBe("halted");
    expect(codeOf(await cart.create(order(4)))).toBe("PARTITION_HALTED");
    expect(lengths(log)).toEqual([2, 0]);
  });

  test("the same where the log lost what this cart wrote and had not read yet", async () => {
    const { log, cart, home, order } = oneCart();
    home.isHeld = true;
    for (let n = 0; n < 3; n++) expect(codeOf(await cart.create(order(n)))).toBe("ok");
    log.partitions[0]!.length = 1;
    expect(codeOf(await cart.create(order(3)))).toBe("APPEND_OUTCOME_UNKNOWN");
    expect(home.state).toBe("halted");
  });

  test("that another leader acknowledged is read back before it is answered (I8)", async () => {
    const { log, cart, home, order } = oneCart();
    home.isHeld = true;
    expect(codeOf(await cart.create(order(0)))).toBe("ok");
    log.epochs[0] = 1;
    expect(codeOf(await cart.create(order(1)))).toBe("APPEND_OUTCOME_UNKNOWN");
    home.isHeld = false;
    home.read();
    expect(codeOf(await cart.create(order(3)))).toBe("ok");
    home.isHeld = true;
    expect(codeOf(await cart.create(order(4)))).toBe("ok");
  });

  test("is of unknown outcome if the index fails once it is appended: nothing says that it was not (I9)", async () => {
    const { log, cart, home, order } = oneCart();
    expect(codeOf(await cart.create(order(0)))).toBe("ok");
    home.read();
    const fail = () => {
      throw new Error("disk I/O error");
    };
    const failing = { placedBy: [2], order: fail, keyedEvent: fail };
    Object.assign(home, { view: () => (lengths(log)[0] === 1 ? home.store.view : failing) });
    log.epochs[0] = 1;
    expect(codeOf(await cart.create(order(1)))).toBe("APPEND_OUTCOME_UNKNOWN");
    expect(lengths(log)).toEqual([2, 0]);
    expect(codeOf(await cart.create(order(2)))).toBe("STORE_FAILED");
    expect(lengths(log)).toEqual([2, 0]);
  });

  test("is refused before it is appended while the one before could not be read back in time, whatever makes reading slow", async () => {
    const { log, cart, home, order } = oneCart();
    home.isHeld = true;
    log.epochs[0] = 1;
    expect(codeOf(await cart.create(order(0)))).toBe("APPEND_OUTCOME_UNKNOWN");
    expect(codeOf(await cart.create(order(1)))).toBe("CATCHING_UP");
    expect(lengths(log)).toEqual([1, 0]);
    home.isHeld = false;
    home.read();
    expect(codeOf(await cart.create(order(1)))).toBe("ok");
  });

  test("is not decided by what was known before the partition was interrupted", async () => {
    const { cart, home, order } = oneCart();
    home.isHeld = true;
    expect(codeOf(await cart.create(order(0)))).toBe("ok");
    home.hindered = "The connection was lost.";
    const update = cart.update(order(0), "shipped");
    setTimeout(() => (home.hindered = undefined), 30);
    await update;
    // A record that is not this cart's may lie before the create now.
    expect(codeOf(await cart.create(order(1)))).toBe("APPEND_OUTCOME_UNKNOWN");
  });

  test("of an order that this cart created under another leader is decided by the log", async () => {
    const { log, cart, home, order } = oneCart();
    home.isHeld = true;
    expect(codeOf(await cart.create(order()))).toBe("ok");
    // The new leader does not have the first create.
    log.partitions[0]!.length = 0;
    log.epochs[0] = 1;
    home.leaderEpoch = 1;
    home.isHeld = false;
    expect(await cart.create(order())).toBe("0:0");
  });

  test.each([
    ["a create", (cart: ListCart) => cart.create("ORD-1")],
    ["an update", (cart: ListCart) => cart.update("ORD-2", "shipped")],
  ])("before the log was ever reached %s is LOG_UNAVAILABLE with the cause, at once", async (_, ask) => {
    const cart = new ListCart(new ListLog(2), 5_000);
    cart.set.partitionCount = 0;
    cart.set.readFailure = "Reading fails: nobody listens at 127.0.0.1:9092.";
    const began_ms = performance.now();
    const given = await ask(cart);
    expect([codeOf(given), detail(given)]).toEqual(["LOG_UNAVAILABLE", expect.stringContaining("127.0.0.1:9092")]);
    expect(performance.now() - began_ms).toBeLessThan(2_000);
  });
});

describe("an update of an order that is known", () => {
  test("is appended while nothing but the log hinders its partition; else 503, and nothing is appended", async () => {
    const { log, cart, home, order } = oneCart();
    await cart.create(order());
    home.read();
    home.hindered = "It has no leader.";
    expect(await cart.update(order(), "shipped")).toBe("0:1");
    home.hindered = undefined;
    Object.assign(home, { state: "catching-up", isComplete: false });
    expect(codeOf(await cart.update(order(), "pending"))).toBe("CATCHING_UP");
    Object.assign(home, { state: "halted", halted: "Another log." });
    expect(codeOf(await cart.update(order(), "pending"))).toBe("PARTITION_HALTED");
    expect(lengths(log)).toEqual([2, 0]);
  });

  test("that is acknowledged before what was read halts its partition", async () => {
    const { log, cart, home, order } = oneCart();
    for (let n = 0; n < 3; n++) await cart.create(order(n));
    home.read();
    log.partitions[0]!.length = 1;
    expect(codeOf(await cart.update(order(0), "shipped"))).toBe("APPEND_OUTCOME_UNKNOWN");
    expect(home.state).toBe("halted");
  });
});

describe("an update of an order that is not known", () => {
  test("is 404 once the order's own partition is read to its end as of the request (I8)", async () => {
    const { log, cart, home, order } = oneCart();
    const b = new ListCart(log);
    await b.create(order(0));
    expect(codeOf(await cart.update(order(0), "shipped"))).toBe("ok");
    expect(codeOf(await cart.update(order(1), "shipped"))).toBe("ORDER_NOT_FOUND");
    await b.create(order(2));
    home.isHeld = true;
    expect(codeOf(await cart.update(order(2), "shipped"))).toBe("CATCHING_UP");
  });

  test("is 503 until the index was compared with the leader that tells the end, which may hold other records", async () => {
    const { log, cart, home, order } = oneCart();
    await cart.create(order());
    await home.reached(1, 200);
    log.epochs[0] = 1;
    const refused = await cart.update(order(1), "shipped");
    expect([codeOf(refused), detail(refused)]).toEqual(["LOG_UNAVAILABLE", expect.stringContaining("new leader")]);
    home.leaderEpoch = 1;
    expect(codeOf(await cart.update(order(1), "shipped"))).toBe("ORDER_NOT_FOUND");
  });

  test("is 503 once the topic is another one than the index has read", async () => {
    const { log, cart, order } = oneCart();
    log.topicId = "one";
    expect(codeOf(await cart.update(order(1), "shipped"))).toBe("ORDER_NOT_FOUND");
    log.topicId = "another";
    expect(codeOf(await cart.update(order(1), "shipped"))).toBe("LOG_UNAVAILABLE");
  });

  test("is 503 where its partition cannot be asked, with the cause, though the others can", async () => {
    const { log, cart, order } = oneCart();
    log.ends.set(0, { unavailable: "The partition orders-0 has no leader now." });
    const refused = await cart.update(order(), "shipped");
    expect([codeOf(refused), detail(refused)]).toEqual(["LOG_UNAVAILABLE", expect.stringContaining("orders-0 has no leader")]);
  });

  test("is 404 although another partition cannot be asked, if that one was read to its end before", async () => {
    const { log, cart, other, order } = oneCart();
    log.ends.set(1, { unavailable: "The partition orders-1 has no leader now." });
    other.hindered = "It has no leader.";
    expect(codeOf(await cart.update(order(), "shipped"))).toBe("ORDER_NOT_FOUND");
    other.isComplete = false;
    expect(codeOf(await cart.update(order(), "shipped"))).toBe("LOG_UNAVAILABLE");
    Object.assign(other, { state: "halted", halted: "Another log." });
    expect(codeOf(await cart.update(order(), "shipped"))).toBe("PARTITION_HALTED");
  });

  test("finds an order that another program just created in another partition", async () => {
    const { log, cart, order } = oneCart();
    const stray = new ListCart(new ListLog(2));
    await stray.create(order());
    const [record] = stray.log.partitions[0]!;
    log.append({ partition: 1, key: record!.key, value: record!.value, headers: [], timestamp_ms: 0 });
    expect(await cart.update(order(), "shipped")).toBe("1:1");
  });

  test("is 503 while another program's transaction hides records of its partition, and says so", async () => {
    const { log, cart, order } = oneCart();
    log.ends.set(0, { startOffset: 0, endOffset: 5, stableOffset: 0, leaderEpoch: 0 });
    const refused = await cart.update(order(), "shipped");
    expect([codeOf(refused), detail(refused)]).toEqual([
      "LOG_UNAVAILABLE",
      expect.stringMatching(/offset 0 on .*another program's transaction is open/),
    ]);
  });
});
