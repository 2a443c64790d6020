import { createOrder, orderDetails } from "../support/http/http.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { type Figure, percentile } from "./figures.ts";
import type { Target } from "./target.ts";

const creates = 1_000;
const warm_up_creates = 100;
const readable_ms_max = 5_000;

interface Services {
  readonly producer: Program;
  readonly consumer: Program;
}

/** The time from a create's answer until its order can be read from another process, one create after another. */
export async function measureReadable(target: Target): Promise<Figure[]> {
  await using topic = await target.emptyTopic("readable");
  await using producer = await startProgram({ role: "producer", dataDir: topic.dataDir, env: topic.settings() });
  await using consumer = await startProgram({ role: "consumer", dataDir: topic.dataDir, env: topic.settings() });
  await Promise.all([producer.ready(), consumer.ready()]);

  const services = { producer, consumer };
  let n = 0;
  const sample = async (read: (services: Services, orderId: string) => Promise<number>) => {
    const all_ms: number[] = [];
    for (let i = 0; i < warm_up_creates + creates; i++) all_ms.push(await read(services, String(++n)));
    return all_ms.slice(warm_up_creates);
  };
  const figuresOf = (what: string, all_ms: readonly number[]): Figure[] =>
    [50, 99].map((p) => ({ log: target.name, what: `${what}, p${p}`, figure: percentile(all_ms, p), unit: "ms" }));
  return [
    ...figuresOf("create's answer to readable, polling", await sample(pollDetails)),
    ...figuresOf("one GET with Log-Position after a create", await sample(readOwnWrite)),
  ];
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
