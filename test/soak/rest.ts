import type { Log } from "../../src/log/log.ts";
import { Violation } from "../reference/violation.ts";
import { auditListings, auditOrder, type Expected } from "./audit.ts";
import { ask, type HttpAnswer } from "./client.ts";
import type { Fleet } from "./fleet.ts";

const POLL_MS = 250;
/** Queries at the same time, each to all order services. */
const ASKING_MAX = 24;
/** How long a service may go on saying that it cannot answer yet. */
const ANSWER_MS_MAX = 60_000;

/** Waits until everybody is ready and the order services together have applied the whole topic. Tells what is missing if that takes too long. */
export async function comeToRest(fleet: Fleet, log: Log, topic: string, wait_ms_max: number): Promise<string | undefined> {
  const until_ms = performance.now() + wait_ms_max;
  for (;;) {
    const missing = await whatIsMissing(fleet, log, topic);
    if (missing === undefined || performance.now() > until_ms) return missing;
    await Bun.sleep(POLL_MS);
  }
}

async function whatIsMissing(fleet: Fleet, log: Log, topic: string): Promise<string | undefined> {
  const ends = await log.watermarks(topic).catch(() => undefined);
  if (!ends) return "the log does not tell its ends";
  const holders = ends.map((): string[] => []);
  for (const member of fleet.permanent) {
    const health = await member.health();
    if (health?.status !== "ready") return `${member.name} is ${JSON.stringify(health ?? "not answering")}`;
    for (const { partition, offset } of health.partitions) {
      if (member.role === "consumer") holders[partition]?.push(member.name);
      const end = ends[partition]?.endOffset;
      if (offset !== end) return `${member.name} has applied ${offset} of ${end} records of partition ${partition}`;
    }
  }
  const wrong = holders.findIndex((names) => names.length !== 1);
  return wrong < 0 ? undefined : `partition ${wrong} is held by ${holders[wrong]?.join(" and ") || "nobody"}`;
}

/** Asks every order service for every order and for its listing, and holds the answers to the reference. */
export async function auditServices(
  fleet: Fleet,
  topic: string,
  expected: Expected,
  onProgress: (orders: number) => void,
): Promise<Violation[]> {
  const found: Violation[] = [];
  const ids = [...expected.ids];
  let asked = 0;
  const worker = async () => {
    for (let at = asked++; at < ids.length; at = asked++) {
      const orderId = ids[at] as string;
      found.push(
        ...auditOrder(orderId, expected.orders.get(orderId), await answersFor(fleet, `/order-details?orderId=${orderId}`)),
      );
      onProgress(asked);
    }
  };
  await Promise.all(Array.from({ length: ASKING_MAX }, worker));
  const answers = await answersFor(fleet, `/getAllOrderIdsFromTopic?topicName=${topic}`);
  const refused = answers.find(([, { code }]) => code !== "ok");
  if (refused)
    return [...found, new Violation("listed-once", `${refused[0]} lists nothing: ${refused[1].code} ${refused[1].body}`)];
  const listings = answers.map(([, { body }]) => (JSON.parse(body) as { orderIds: string[] }).orderIds);
  return [...found, ...auditListings(listings, expected)];
}

async function answersFor(fleet: Fleet, path: string): Promise<(readonly [service: string, answer: HttpAnswer])[]> {
  const until_ms = performance.now() + ANSWER_MS_MAX;
  for (;;) {
    const answers = await Promise.all(fleet.orderServices.map(async ({ name, url }) => [name, await ask(url + path)] as const));
    const isOpen = answers.some(([, { status }]) => status === 503 || status === 0);
    if (!isOpen || performance.now() > until_ms) return answers;
    await Bun.sleep(POLL_MS);
  }
}
