import { appendPaced, createPaced } from "../companions.ts";
import { createOrder, orderDetails } from "../../support/http/http.ts";
import { type Program, startProgram } from "../../support/programs/processes.ts";
import { type Figure, percentile } from "../figures.ts";
import { type Load, loadPartitions } from "../load.ts";
import type { Options } from "../options.ts";
import type { Target } from "../target.ts";

const creates = 1_000;
const warm_up_creates = 100;
const readable_ms_max = 5_000;

/** The loads under which creates are sampled: creates at a cart, and events that some other program appends. */
const creates_per_s = 1_000;
const events_per_s = 20_000;
/** The pause between two samples under load, so that polling takes little of the machine. */
const sample_pause_ms = 10;
/** The samples begin when the load has come up and the programs are compiled for it, and end before it goes. */
const margin_s = 8;

interface Services {
  readonly producer: Program;
  readonly consumer: Program;
}

/** The time from a create's answer until its order can be read from another process, one create after another. */
export async function measureReadable(target: Target): Promise<Figure[]> {
  return withServices(target, "readable", async (services) => {
    let n = 0;
    const sample = async (read: (services: Services, orderId: string) => Promise<number>) => {
      const all_ms: number[] = [];
      for (let i = 0; i < warm_up_creates + creates; i++) all_ms.push(await read(services, String(++n)));
      return all_ms.slice(warm_up_creates);
    };
    return [
      ...figuresOf(target.name, "create's answer to readable, polling", await sample(pollDetails)),
      ...figuresOf(target.name, "one GET with Log-Position after a create", await sample(readOwnWrite)),
    ];
  });
}

/**
 * The same while the cart gets 1,000 creates a second, and while 20,000 events a second are appended by a producer
 * beside it: one create is sampled after another, with a pause between.
 */
export async function measureReadableUnderLoad(target: Target, { step_s }: Options): Promise<Figure[]> {
  const figures: Figure[] = [];
  const seconds = step_s + 2 * margin_s;
  await withServices(target, "creates-live", async (services) => {
    const load = createPaced(services.producer.cartUrl, creates_per_s, seconds, "8");
    const all_ms = await sampleFor(services, step_s);
    const { done, seconds: took_s } = await load;
    const what = `create's answer to readable at ${creates_per_s.toLocaleString("en-US")} creates/s`;
    figures.push(...figuresOf(target.name, what, all_ms, came(all_ms.length, done / took_s, "creates")));
  });
  await withServices(target, "events-live", async (services, topic) => {
    const orders = (events_per_s * seconds) / 4;
    const load: Load = { shape: "hot", orders, updatesPerOrder: 3 };
    const events = appendPaced({ ...topic, load, from: 0, events_per_s, seconds });
    const all_ms = await sampleFor(services, step_s);
    const { done, seconds: took_s } = await events;
    const what = `create's answer to readable at ${events_per_s.toLocaleString("en-US")} events/s`;
    figures.push(...figuresOf(target.name, what, all_ms, came(all_ms.length, done / took_s, "events of another producer")));
  });
  return figures;
}

async function withServices<Result>(
  target: Target,
  what: string,
  use: (services: Services, topic: { readonly place: string; readonly topic: string }) => Promise<Result>,
): Promise<Result> {
  await using topic = await target.emptyTopic(what);
  await topic.log.createTopic(topic.topic, loadPartitions);
  await using producer = await startProgram({ role: "producer", dataDir: topic.dataDir, env: topic.settings() });
  await using consumer = await startProgram({ role: "consumer", dataDir: topic.dataDir, env: topic.settings() });
  await Promise.all([producer.ready(), consumer.ready()]);
  // The programs end with this scope, so it waits.
  return await use({ producer, consumer }, { place: topic.place, topic: topic.topic });
}

const figuresOf = (log: string, what: string, all_ms: readonly number[], note = ""): Figure[] =>
  [50, 99].map((p) => ({ log, what: `${what}, p${p}`, figure: percentile(all_ms, p), unit: "ms", note }));

const came = (samples: number, rate: number, of: string): string =>
  `${samples} samples; ${Math.round(rate).toLocaleString("en-US")} ${of} a second came`;

async function sampleFor(services: Services, seconds: number): Promise<number[]> {
  await Bun.sleep(margin_s * 1_000);
  const end_ms = performance.now() + seconds * 1_000;
  const all_ms: number[] = [];
  for (let n = 0; performance.now() < end_ms; n++) {
    // Orders of the loads have ids that begin otherwise or are shorter.
    all_ms.push(await pollDetails(services, `9${String(n).padStart(9, "0")}`));
    await Bun.sleep(sample_pause_ms);
  }
  return all_ms;
}

/** There is no pause between the polls: one takes about 0.2 ms, so a pause would only measure the sleep. */
async function pollDetails({ producer, consumer }: Services, orderId: string): Promise<number> {
  await createdPosition(producer, orderId);
  const answered_ms = performance.now();
  while (true) {
    const { status } = await orderDetails(consumer.orderUrl, orderId);
    const waited_ms = performance.now() - answered_ms;
    if (status === 200) return waited_ms;
    if (status !== 404 || waited_ms > readable_ms_max) {
      throw new Error(`The order ${orderId} was ${status} ${waited_ms} ms after its create.`);
    }
  }
}

async function readOwnWrite({ producer, consumer }: Services, orderId: string): Promise<number> {
  const position = await createdPosition(producer, orderId);
  const answered_ms = performance.now();
  const { status } = await orderDetails(consumer.orderUrl, orderId, { "log-position": position });
  if (status !== 200) throw new Error(`The order ${orderId} was ${status} with Log-Position ${position}.`);
  return performance.now() - answered_ms;
}

async function createdPosition(producer: Program, orderId: string): Promise<string> {
  const { status, headers } = await createOrder(producer.cartUrl, { order_id: orderId, number_of_items: 3 });
  const position = headers.get("log-position");
  if (status !== 200 || position === null) throw new Error(`The create of ${orderId} was answered ${status}.`);
  return position;
}
