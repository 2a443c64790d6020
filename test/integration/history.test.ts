import { describe, expect, test } from "bun:test";
import type { DeadLetterShown } from "../../src/services/orders/dead-letters/dead-letter-listing.ts";
import type { TimelineEvent } from "../../src/services/orders/history/timeline.ts";
import { brokerSuite } from "../support/brokers/broker.ts";
import { type Backing, brokerBacking, embeddedBacking } from "../support/brokers/foreign.ts";
import { encodeEvent } from "../../src/orders/events/encode.ts";
import { createOrder, updateOrder } from "../support/http/http.ts";
import { statusUpdated } from "../support/events/orders.ts";
import { peerSecret } from "../support/fleets/peer-secret.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

const suite_ms_max = 120_000;

interface Page {
  readonly events?: readonly (TimelineEvent & { readonly status?: string })[];
  readonly letters?: readonly DeadLetterShown[];
  readonly next?: string | null;
  readonly code?: string;
}

async function ask(
  program: Program,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Page }> {
  const response = await fetch(`${program.orderUrl}${path}`, { headers });
  return { status: response.status, body: (await response.json()) as Page };
}

/** All pages, with `limit` entries each. */
async function pages(program: Program, path: string, limit: number, headers: Record<string, string> = {}): Promise<Page[]> {
  const all: Page[] = [];
  for (let after = ""; ;) {
    const { status, body } = await ask(program, `${path}?limit=${limit}${after}`, headers);
    expect(status).toBe(200);
    all.push(body);
    if (body.next === null || body.next === undefined) return all;
    after = `&after=${encodeURIComponent(body.next)}`;
  }
}

async function tells(open: () => Promise<Backing>): Promise<void> {
  await using backing = await open();
  await using program = await startProgram({ env: backing.env, dataDir: backing.dataDir });
  await program.ready();
  const created = await createOrder(program.cartUrl, { order_id: "1", number_of_items: 2 });
  const partition = Number(created.headers.get("log-position")?.split(":")[0]);
  const twice = encodeEvent(statusUpdated());
  await backing.produce([
    { partition, key: "ORD-1", value: twice },
    { partition, key: "ORD-1", value: twice },
    { partition, key: "ORD-1", value: "not json" },
  ]);
  // Each letter has its own transaction, so a broker has markers between them.
  const letters = async () => (await pages(program, "/dead-letters", 1)).flatMap((page) => page.letters ?? []);
  await waitUntil("for the first letter", async () => (await letters()).length === 1, { wait_ms_max: 20_000 });
  await backing.produce([{ partition, key: null, value: null }]);
  await waitUntil("for the second letter", async () => (await letters()).length === 2, { wait_ms_max: 20_000 });
  const last = await updateOrder(program.cartUrl, { order_id: "1", status: "shipped" });
  const after = { "log-position": last.headers.get("log-position") ?? "" };

  for (const limit of [1, 200]) {
    const events = (await pages(program, "/orders/1/events", limit, after)).flatMap((page) => page.events ?? []);
    expect(events.map(({ outcome, status }) => [outcome, status])).toEqual([
      ["created", "new"],
      ["updated", "pending"],
      ["duplicate", "pending"],
      ["poison", undefined],
      ["updated", "shipped"],
    ]);
    expect(events[0]).toMatchObject({ partition, offset: 0, heldApplied: 0 });
  }
  expect((await letters()).map(({ reason, origin }) => [reason, origin])).toEqual([
    ["null_value", { topic: backing.topic, partition, offset: 4 }],
    ["not_json", { topic: backing.topic, partition, offset: 3 }],
  ]);
  const filtered = await ask(program, "/dead-letters?reason=null_value");
  expect(filtered.body.letters).toHaveLength(1);
  expect(await ask(program, "/orders/2/events")).toMatchObject({ status: 404, body: { code: "ORDER_NOT_FOUND" } });
}

describe("an order's events and the dead letters on the embedded log", () => {
  test("are told with what became of each, in pages", () => tells(() => embeddedBacking()), suite_ms_max);
});

await brokerSuite("an order's events and the dead letters", ({ brokers }) => {
  test("are told with what became of each, in pages", () => tells(() => brokerBacking(brokers)), suite_ms_max);

  test(
    "are told by whichever instance is asked",
    async () => {
      await using backing = await brokerBacking(brokers, { TOPIC_PARTITIONS: "2" });
      const env = { ...backing.env, PEER_TOKEN_FILE: peerSecret(backing.dataDir) };
      await using first = await startProgram({ env, dataDir: backing.dataDir });
      await using second = await startProgram({ role: "consumer", env });
      await Promise.all([first.ready(), second.ready()]);
      const asked = async () => {
        const { status, body } = await createOrder(first.cartUrl, { order_id: "5", number_of_items: 1 });
        return status === 200 || body.code === "ORDER_EXISTS";
      };
      await waitUntil("for the create", asked, { wait_ms_max: 20_000 });
      const answers = async () => {
        const both = await Promise.all([first, second].map((program) => ask(program, "/orders/5/events")));
        return both.map(({ status, body }) => `${status} ${body.code ?? body.events?.length}`).toSorted();
      };
      let last: string[] = [];
      await waitUntil(
        () => `for both to tell; last: ${last.join(", ")}`,
        async () => (last = await answers()).join() === "200 1,200 1",
        { wait_ms_max: 60_000 },
      );
    },
    suite_ms_max,
  );
});
