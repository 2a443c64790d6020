import { expect, test } from "bun:test";
import type { AppError } from "../../../../src/errors.ts";
import { Members, type Peer } from "../../../../src/fleet/members.ts";
import { SharedCommands } from "../../../../src/services/cart/sharing/shared-commands.ts";
import { Coverage } from "../../../../src/services/cart/sharing/coverage.ts";
import { Holders } from "../../../../src/services/cart/sharing/holders.ts";
import { systemClock } from "../../../../src/system/clock.ts";

const hindered = (code: string) => ({ status: 503, text: JSON.stringify({ code, detail: "It cannot." }) });
const halted = hindered("PARTITION_HALTED");
const done = { status: 200, text: JSON.stringify({ partition: 0, offset: 7 }) };
const elsewhere = { status: 421, text: JSON.stringify({ code: "PARTITION_ELSEWHERE", detail: "Ask 1.", partition: 1 }) };

/** A cart that holds no index; b owns that of partition 0, c has a copy. Each answers with what is given. */
function cartWithoutIndex(answers: Readonly<Record<string, { readonly status: number; readonly text: string }>>) {
  const members = new Members(systemClock);
  const all = [
    { id: "a", endpoint: "http://a", partitions: [], standbys: [] },
    { id: "b", endpoint: "http://b", partitions: [0], standbys: [] },
    { id: "c", endpoint: "http://c", partitions: [], standbys: [0] },
  ];
  members.assigned({ partitions: [], standbys: [], memberId: "a", members: all });
  const asked: string[] = [];
  const send = ({ url }: Peer) => {
    asked.push(url);
    return Promise.resolve({ ...answers[url]!, headers: new Headers() });
  };
  const commands = new SharedCommands({
    here: { create: () => Promise.reject(new Error("Not here.")), change: () => Promise.reject(new Error("Not here.")) },
    holders: new Holders({ get: () => undefined }, new Coverage(), members),
    homes: () => [0],
    keyed: (key) => (key === "used" ? { orderId: "ORD-2", fingerprint: "f", partition: 1, offset: 3 } : undefined),
    placedBy: () => 1,
    fleet: { members, send } as never,
    append_wait_ms_max: 200,
    clock: systemClock,
  });
  const update = (key?: string) =>
    commands
      .change(
        "ORD-1",
        { type: "ORDER_STATUS_UPDATED", status: "shipped" },
        key === undefined ? {} : { idempotency: { key, fingerprint: "g" } },
      )
      .catch((e: unknown) => (e as AppError).code);
  /** D owns the partition from now on. */
  const assignNewOwner = () => {
    const [a, b, c] = all.map((one) => ({ ...one, partitions: [] }));
    const d = { id: "d", endpoint: "http://d", partitions: [0], standbys: [] };
    members.assigned({ partitions: [], standbys: [], memberId: "a", members: [a!, b!, c!, d] });
  };
  return { update, asked, assignNewOwner };
}

test.each(["PARTITION_HALTED", "PARTITION_BLOCKED", "CATCHING_UP"])(
  "a command that one holder's index keeps from being carried out, by %s, goes to the next one",
  async (code) => {
    const { update, asked } = cartWithoutIndex({ "http://b": hindered(code), "http://c": done });
    expect(await update()).toEqual({ partition: 0, offset: 7 });
    expect(asked).toEqual(["http://b", "http://c"]);
  },
);

test.each(["APPEND_OUTCOME_UNKNOWN", "ORDER_NOT_FOUND", "LOG_UNAVAILABLE"])(
  "what a holder says of the command itself, such as %s, is the answer",
  async (code) => {
    const { update, asked } = cartWithoutIndex({ "http://b": hindered(code), "http://c": done });
    expect(await update()).toBe(code);
    expect(asked).toEqual(["http://b"]);
  },
);

test("a holder that is overloaded is passed over under a key alone, as it says that nothing was appended", async () => {
  const overloaded = { "http://b": hindered("OVERLOADED"), "http://c": done };
  const keyed = cartWithoutIndex(overloaded);
  expect([await keyed.update("k"), keyed.asked]).toEqual([{ partition: 0, offset: 7 }, ["http://b", "http://c"]]);
  const plain = cartWithoutIndex(overloaded);
  expect([await plain.update(), plain.asked]).toEqual(["OVERLOADED", ["http://b"]]);
});

const isNotHere = { status: 421, text: JSON.stringify({ code: "PARTITION_ELSEWHERE", detail: "Ask 0.", partition: 0 }) };

test.each([
  [isNotHere, halted],
  [halted, isNotHere],
])("where one holder is hindered and another one has let go of the partition, its new owner is asked", async (b, c) => {
  const { update, asked, assignNewOwner } = cartWithoutIndex({ "http://b": b, "http://c": c, "http://d": done });
  const updated = update();
  setTimeout(assignNewOwner, 50);
  expect(await updated).toEqual({ partition: 0, offset: 7 });
  expect(asked).toEqual(["http://b", "http://c", "http://d"]);
});

test("what hinders one holder is told where the next one does not hold the partition any more", async () => {
  const { update, asked } = cartWithoutIndex({ "http://b": halted, "http://c": isNotHere });
  expect([await update(), asked]).toEqual(["PARTITION_HALTED", ["http://b", "http://c"]]);
});

test("if none of them can, it says that it is halted", async () => {
  const { update, asked } = cartWithoutIndex({ "http://b": halted, "http://c": halted });
  expect(await update()).toBe("PARTITION_HALTED");
  expect(asked).toEqual(["http://b", "http://c"]);
});

test("a holder that says where the command belongs counts for more than one that is halted", async () => {
  const { update } = cartWithoutIndex({ "http://b": halted, "http://c": elsewhere });
  expect(await update()).not.toBe("PARTITION_HALTED");
});

test("a key that this cart knows to be another order's is refused here, whoever has not read that yet", async () => {
  const { update, asked } = cartWithoutIndex({ "http://b": done, "http://c": done });
  expect(await update("used")).toBe("IDEMPOTENCY_KEY_REUSED");
  expect(asked).toEqual([]);
  expect(await update("new")).toEqual({ partition: 0, offset: 7 });
});
