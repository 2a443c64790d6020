import { rm } from "node:fs/promises";
import { join } from "node:path";
import { orderIds } from "../support/http/http.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { runBounded } from "../support/programs/tied-process.ts";
import { type Figure, median } from "./figures.ts";
import { eventCount, type Load } from "./load.ts";
import type { BenchTopic, Target } from "./target.ts";

const runs = 3;
const poll_interval_ms = 10;
const apply_ms_max = 120_000;
const peer_ms_max = 180_000;

interface Health {
  readonly partitions: readonly { readonly offset: number }[];
}

/**
 * Events per second of a full topic that `consumer` applies when it starts on an empty state; the peer's runs lie
 * between ours.
 */
export async function measureApply(target: Target, load: Load, peer: string | undefined): Promise<Figure[]> {
  await using topic = await target.fullTopic("orders", load);
  const events = eventCount(load);
  const ours: number[] = [];
  const peers: number[] = [];
  for (let run = 0; run < runs; run++) {
    await rm(join(topic.dataDir, "state"), { recursive: true, force: true });
    ours.push(await applyOnce(topic, events, load.orders));
    if (peer !== undefined && target.brokers !== undefined) peers.push(await peerOnce(peer, target.brokers, topic.topic, events));
  }
  const figure = { log: target.name, unit: "events/s" };
  const note = (rates: readonly number[]) => `runs: ${rates.map(Math.round).join(", ")}`;
  const rate = { ...figure, what: `${events} events applied, consumer alone`, figure: median(ours), note: note(ours) };
  if (peers.length === 0) return [rate];
  return [
    { ...rate, ratio: median(ours) / median(peers), ratioTo: "peer" },
    { ...figure, what: "peer, same topic, turn about", figure: median(peers), note: note(peers) },
  ];
}

async function applyOnce(topic: BenchTopic, events: number, orders: number): Promise<number> {
  await using consumer = await startProgram({ role: "consumer", dataDir: topic.dataDir, env: topic.settings() });
  const deadline_ms = performance.now() + apply_ms_max;
  let first: { applied: number; at_ms: number } | undefined;
  while (true) {
    const applied = await appliedBy(consumer);
    const at_ms = performance.now();
    if (applied > 0) first ??= { applied, at_ms };
    if (first && applied >= events) {
      if (at_ms === first.at_ms) throw new Error("All events were applied between two polls: measure with more --events.");
      const { body } = await orderIds(consumer.orderUrl, topic.topic);
      if (body.orderIds?.length !== orders) throw new Error(`The consumer has ${body.orderIds?.length} of ${orders} orders.`);
      return ((events - first.applied) / (at_ms - first.at_ms)) * 1_000;
    }
    if (at_ms > deadline_ms) {
      throw new Error(`The consumer applied ${applied} of ${events} events. It said:\n${consumer.output()}`);
    }
    await Bun.sleep(poll_interval_ms);
  }
}

/** The number of events the consumer has applied; 0 until it answers. */
async function appliedBy(consumer: Program): Promise<number> {
  try {
    const response = await fetch(`${consumer.orderUrl}/health/ready`, { signal: AbortSignal.timeout(2_000) });
    const { partitions } = (await response.json()) as Health;
    return partitions.reduce((sum, { offset }) => sum + offset, 0);
  } catch {
    return 0;
  }
}

async function peerOnce(command: string, brokers: string, topic: string, events: number): Promise<number> {
  const values = { brokers, topic, events: String(events) };
  const line = command.replace(/\{(brokers|topic|events)\}/g, (_, name: keyof typeof values) => values[name]);
  const { output } = await runBounded(["sh", "-c", `exec ${line}`], peer_ms_max);
  for (const text of output.split("\n").toReversed()) {
    if (!text.startsWith("{")) continue;
    const rate = rateIn(text);
    if (rate !== undefined) return rate;
  }
  throw new Error(`The peer printed no JSON line with events_per_s_processing or events_per_s: ${line}\n${output.slice(-2_000)}`);
}

function rateIn(json: string): number | undefined {
  try {
    const answer = JSON.parse(json) as { events_per_s_processing?: number; events_per_s?: number };
    return answer.events_per_s_processing ?? answer.events_per_s;
  } catch {
    return undefined;
  }
}
