import { appendPaced, createPaced } from "../companions.ts";
import { createOrder, orderDetails } from "../../support/http/http.ts";
import { type Program, startProgram } from "../../support/programs/processes.ts";
import { type Figure, percentile } from "../figures.ts";
import { type Load, loadPartitions, recordsIn } from "../load.ts";
import type { Options } from "../options.ts";
import type { BenchTopic, Target } from "../target.ts";

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
const oneRecord: Load = { shape: "hot", orders: 1, updatesPerOrder: 0 };
const readLimits = { wait_ms_max: 500, partition_bytes_max: 65_536 };

interface Services {
  readonly producer: Program;
  readonly consumer: Program;
}

/** The time from a create's answer until its order can be read from another process, one create after another. */
export async function measureReadable(target: Target): Promise<Figure[]> {
  await using bare = await BareRead.on(target);
  return await withServices(target, "readable", async (services) => {
    let n = 0;
    const sample = async (read: (services: Services, orderId: string) => Promise<number>) => {
      const all_ms: number[] = [];
      for (let i = 0; i < warm_up_creates + creates; i++) all_ms.push(await read(services, String(++n)));
      return all_ms.slice(warm_up_creates);
    };
    return [
      ...figuresOf(target.name, "create's answer to readable, polling", await sample(pollDetails)),
      ...figuresOf(target.name, "one GET with Log-Position after a create", await sample(readOwnWrite)),
      ...figuresOf(target.name, "bare append's answer to read", await sample(() => bare.sample())),
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
  await using bare = await BareRead.on(target);
  const figuresAt = (load: string, { readable_ms, bare_ms }: Samples, note: string): Figure[] => [
    ...figuresOf(target.name, `create's answer to readable at ${load}`, readable_ms, note),
    ...figuresOf(target.name, `bare append's answer to read at ${load}`, bare_ms, "on a topic of its own"),
  ];
  await withServices(target, "creates-live", async (services) => {
    const load = createPaced(services.producer.cartUrl, creates_per_s, seconds, "8");
    const samples = await sampleFor(services, bare, step_s);
    const { done, seconds: took_s } = await load;
    figures.push(...figuresAt(`${perSecond(creates_per_s)} creates/s`, samples, came(samples, done / took_s, "creates")));
  });
  await withServices(target, "events-live", async (services, topic) => {
    const orders = (events_per_s * seconds) / 4;
    const load: Load = { shape: "hot", orders, updatesPerOrder: 3 };
    const events = appendPaced({ ...topic, load, from: 0, events_per_s, seconds });
    const samples = await sampleFor(services, bare, step_s);
    const { done, seconds: took_s } = await events;
    const note = came(samples, done / took_s, "events of another producer");
    figures.push(...figuresAt(`${perSecond(events_per_s)} events/s`, samples, note));
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

const perSecond = (rate: number): string => Math.round(rate).toLocaleString("en-US");

const came = ({ readable_ms }: Samples, rate: number, of: string): string =>
  `${readable_ms.length} samples; ${perSecond(rate)} ${of} a second came`;

interface Samples {
  readonly readable_ms: readonly number[];
  /** What the log alone takes in the same seconds. */
  readonly bare_ms: readonly number[];
}

async function sampleFor(services: Services, bare: BareRead, seconds: number): Promise<Samples> {
  await Bun.sleep(margin_s * 1_000);
  const end_ms = performance.now() + seconds * 1_000;
  const [readable_ms, bare_ms]: [number[], number[]] = [[], []];
  for (let n = 0; performance.now() < end_ms; n++) {
    // Orders of the loads have ids that begin otherwise or are shorter.
    readable_ms.push(await pollDetails(services, `9${String(n).padStart(9, "0")}`));
    await Bun.sleep(sample_pause_ms);
    bare_ms.push(await bare.sample());
    await Bun.sleep(sample_pause_ms);
  }
  return { readable_ms, bare_ms };
}

/** A topic on which one record after another is appended and read, as the log's own part in what a create takes. */
class BareRead implements AsyncDisposable {
  readonly #producer;
  readonly #reader;
  #offset = 0;

  private constructor(private readonly topic: BenchTopic) {
    this.#producer = topic.log.producer();
    this.#reader = topic.log.reader(topic.topic);
  }

  static async on(target: Target): Promise<BareRead> {
    const topic = await target.emptyTopic("bare-read");
    await topic.log.createTopic(topic.topic, 1);
    return new BareRead(topic);
  }

  /** How long it takes from the log's answer to the append until a reader that waited for the record has it. */
  async sample(): Promise<number> {
    const [record] = recordsIn(oneRecord, { from: 0, to: 1 });
    const read = this.#read(this.#offset);
    const [offset] = await this.#producer.append(this.topic.topic, [{ ...record!, partition: 0 }]);
    const answered_ms = performance.now();
    this.#offset = offset! + 1;
    return Math.max(0, (await read) - answered_ms);
  }

  async #read(offset: number): Promise<number> {
    while (true) {
      const [result] = await this.#reader.fetch(new Map([[0, offset]]), readLimits);
      if (result && "batch" in result && result.batch.nextOffset > offset) return performance.now();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.close();
    await this.#reader.close();
    await this.topic[Symbol.asyncDispose]();
  }
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
