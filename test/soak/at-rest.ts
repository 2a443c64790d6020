import type { Log } from "../../src/log/port.ts";
import { Violation } from "../reference/violation.ts";
import { auditListings, auditOrder, type Expected } from "./audit.ts";
import { ask } from "./client.ts";
import type { Fleet, Health } from "./fleet.ts";

const POLL_MS = 250;
/** How many queries run at the same time, each to all order services. */
const ASKING_MAX = 24;

/**
 * Waits until everybody is ready and the order services together have applied the whole topic. Resolves with what is
 * missing if that takes too long.
 */
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
  const services: [name: string, health: Health][] = [];
  for (const member of fleet.permanent) {
    const health = await member.health();
    if (health?.status !== "ready") return `${member.name} is ${JSON.stringify(health ?? "not answering")}`;
    if (member.role === "consumer") services.push([member.name, health]);
    for (const { partition, offset } of health.partitions) {
      if (member.role === "consumer") holders[partition]?.push(member.name);
      const end = ends[partition]?.endOffset;
      if (offset !== end) return `${member.name} has applied ${offset} of ${end} records of partition ${partition}`;
    }
  }
  const wrong = holders.findIndex((names) => names.length !== 1);
  return wrong < 0 ? standbysMissing(services) : `partition ${wrong} is held by ${holders[wrong]?.join(" and ") || "nobody"}`;
}

/** Each partition must be followed by somebody, who has the same rows as its owner. */
function standbysMissing(services: readonly (readonly [name: string, health: Health])[]): string | undefined {
  const owned = services.flatMap(([, { partitions }]) => partitions);
  const followed = services.flatMap(([name, { standbys = [] }]) => standbys.map((standby) => ({ name, ...standby })));
  for (const { partition, offset, digest } of owned) {
    const those = followed.filter((standby) => standby.partition === partition);
    if (those.length === 0) return `partition ${partition} is followed by nobody`;
    const other = those.find((standby) => standby.offset !== offset || standby.digest !== digest);
    if (other !== undefined)
      return `${other.name} follows partition ${partition} at ${other.offset} with ${other.digest}, and its owner is at ${offset} with ${digest}`;
  }
  return undefined;
}

/**
 * Asks every order service for every order and for its listing, and compares the answers with the reference. The
 * services may say for up to `wait_ms_max` that they cannot answer yet; once that has taken too long, no further
 * answer is waited for.
 */
export async function auditServices(
  fleet: Fleet,
  topic: string,
  expected: Expected,
  wait_ms_max: number,
  { onViolation, onProgress }: { onViolation: (violation: Violation) => void; onProgress: (orders: number) => void },
): Promise<void> {
  const ids = [...expected.ids];
  let patience_ms = wait_ms_max;
  const answersFor = async (path: string) => {
    const until_ms = performance.now() + patience_ms;
    for (;;) {
      const answers = await Promise.all(fleet.orderServices.map(async ({ name, url }) => [name, await ask(url + path)] as const));
      if (!answers.some(([, { status }]) => status === 503 || status === 0)) return answers;
      if (performance.now() > until_ms) {
        patience_ms = 0;
        return answers;
      }
      await Bun.sleep(POLL_MS);
    }
  };
  let asked = 0;
  const worker = async () => {
    for (let at = asked++; at < ids.length; at = asked++) {
      const orderId = ids[at] as string;
      const answers = await answersFor(`/order-details?orderId=${orderId}`);
      for (const violation of auditOrder(orderId, expected.orders.get(orderId), answers)) onViolation(violation);
      onProgress(at + 1);
    }
  };
  await Promise.all(Array.from({ length: ASKING_MAX }, worker));
  const answers = await answersFor(`/getAllOrderIdsFromTopic?topicName=${topic}`);
  const listings = answers.map(([service, { code, body }]) => {
    if (code !== "ok") onViolation(new Violation("answers-at-rest", `${service} lists nothing: ${code} ${body}`));
    return code === "ok" ? (JSON.parse(body) as { orderIds: string[] }).orderIds : [];
  });
  for (const violation of auditListings(listings, expected)) onViolation(violation);
}
