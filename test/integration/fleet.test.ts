import { expect, test } from "bun:test";
import { brokerSuite } from "../support/brokers/broker.ts";
import { type Backing, brokerBacking, embeddedBacking } from "../support/brokers/foreign.ts";
import { peerSecret } from "../support/fleets/peer-secret.ts";
import { createOrder } from "../support/http/http.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { runBounded } from "../support/programs/tied-process.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";

const SUITE_MS_MAX = 180_000;
const SESSION_MS = 6_000;
/** What was acknowledged longer ago than this must be told without its position; records gather for some milliseconds. */
const KNOWN_AFTER_MS = 2_000;
const CALM_MS = 3_000;
const AUDIT_MS_MAX = 40_000;

interface Created {
  readonly orderId: string;
  readonly position: string;
  readonly at_ms: number;
}

/** Clients that ask each order service for everything, again and again, and what was wrong with the answers. */
class Readers {
  readonly wrong: string[] = [];
  readonly counts = new Map<string, number>();
  #isOver = false;
  readonly #running: Promise<void>[] = [];

  constructor(
    private readonly created: readonly Created[],
    private readonly topic: string,
  ) {}

  /** Asks it until it is gone or the readers are stopped. */
  add(program: Program, isGone: () => boolean): void {
    const url = program.orderUrl;
    const questions = [
      () => this.#anOrder(url),
      () => this.#anOrderAtItsPosition(url),
      () => this.#nobodysOrder(url),
      () => this.#events(url),
      () => this.#list(url),
      () => this.#rows(url),
    ];
    for (const ask of questions) this.#running.push(this.#repeat(url, isGone, ask));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  async #repeat(url: string, isGone: () => boolean, ask: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      try {
        await ask();
      } catch (e) {
        if (isGone()) return;
        this.wrong.push(`${url}: ${String(e)}`);
      }
      await Bun.sleep(20);
    }
  }

  /** The orders that everybody must know of by now. */
  #known(): readonly Created[] {
    const until_ms = performance.now() - KNOWN_AFTER_MS;
    return this.created.filter(({ at_ms }) => at_ms < until_ms);
  }

  #any(): Created {
    const known = this.#known();
    return known[Math.floor(Math.random() * known.length)] as Created;
  }

  /** The answer's text if it is 200; anything but 200 and 503 with Retry-After is wrong, unless it is `also`. */
  async #get(what: string, url: string, also = 200, headers: Record<string, string> = {}): Promise<string | undefined> {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(15_000) });
    const text = await response.text();
    const { status } = response;
    this.counts.set(`${what} ${status}`, (this.counts.get(`${what} ${status}`) ?? 0) + 1);
    if (status === 200) return text;
    const isRefusal = status === 503 && response.headers.get("retry-after") !== null;
    if (!isRefusal && status !== also) this.wrong.push(`${url}: ${status} ${text}`);
    return undefined;
  }

  async #anOrder(url: string): Promise<void> {
    const { orderId } = this.#any();
    const text = await this.#get("order", `${url}/order-details?orderId=${orderId}`);
    if (text !== undefined && !text.includes(`"orderId":"${orderId}"`)) this.wrong.push(`${url}: ${orderId} is told as ${text}`);
  }

  async #anOrderAtItsPosition(url: string): Promise<void> {
    const { orderId, position } = this.created.at(-1) as Created;
    await this.#get("position", `${url}/order-details?orderId=${orderId}`, 200, { "log-position": position });
  }

  async #nobodysOrder(url: string): Promise<void> {
    const text = await this.#get("nobody's", `${url}/order-details?orderId=${1e9 + Math.floor(Math.random() * 1e6)}`, 404);
    if (text !== undefined) this.wrong.push(`${url}: an order that is none is told as ${text}`);
  }

  async #events(url: string): Promise<void> {
    const { orderId } = this.#any();
    const text = await this.#get("events", `${url}/orders/${orderId}/events`);
    const { events = [] } = JSON.parse(text ?? "{}") as { events?: readonly { readonly outcome: string }[] };
    if (text !== undefined && !events.some(({ outcome }) => outcome === "created"))
      this.wrong.push(`${url}: ${orderId}: ${text}`);
  }

  async #list(url: string): Promise<void> {
    const expected = this.#known();
    const text = await this.#get("list", `${url}/getAllOrderIdsFromTopic?topicName=${this.topic}`);
    if (text === undefined) return;
    const listed = new Set((JSON.parse(text) as { readonly orderIds: readonly string[] }).orderIds);
    for (const { orderId } of expected) if (!listed.has(orderId)) this.wrong.push(`${url} lists no ${orderId}`);
  }

  async #rows(url: string): Promise<void> {
    const { position } = this.#any();
    const text = await this.#get("rows", `${url}/partitions/${position.split(":")[0]}/orders?limit=1000`);
    if (text !== undefined && !text.startsWith(`{"partition":${position.split(":")[0]},`))
      this.wrong.push(`${url}: ${text.slice(0, 100)}`);
  }
}

/** Order services that each have a directory of their own and the fleet's secret. */
async function fleet(backing: Backing) {
  const stack = new AsyncDisposableStack();
  const dir = stack.use(await tempDir());
  const env = { ...backing.env, PEER_TOKEN_FILE: peerSecret(dir.path), SESSION_TIMEOUT_MS: String(SESSION_MS) };
  const start = async (): Promise<Program> => stack.use(await startProgram({ role: "consumer", env }));
  const cart = stack.use(await startProgram({ role: "producer", env }));
  return { start, cart, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const healthOf = async (program: Program): Promise<{ status: string; partitions: readonly { partition: number }[] }> =>
  (await fetch(`${program.orderUrl}/health/ready`)).json() as never;

/** Waits until these share all partitions and have caught up. */
const shared = (programs: readonly Program[], partitions: number) =>
  waitUntil(
    () => `for ${programs.length} order services to share ${partitions} partitions`,
    async () => {
      const all = await Promise.all(programs.map(healthOf));
      const held = all.flatMap((one) => one.partitions.map(({ partition }) => partition));
      return held.length === partitions && all.every(({ status, partitions: { length } }) => status === "ready" && length > 0);
    },
    { wait_ms_max: 60_000 },
  );

await brokerSuite("a fleet of order services", ({ brokers }) => {
  test(
    "any of three is asked for anything while one is killed and another joins: nothing is missing, and nothing is wrong",
    async () => {
      await using backing = await brokerBacking(brokers, { TOPIC_PARTITIONS: "6" });
      await using members = await fleet(backing);
      const programs = await Promise.all([members.start(), members.start(), members.start()]);
      await members.cart.ready();
      await shared(programs, 6);
      const created: Created[] = [];
      const create = async () => {
        const { status, headers } = await createOrder(members.cart.cartUrl, {
          order_id: String(created.length + 1),
          number_of_items: 1,
        });
        if (status === 200)
          created.push({
            orderId: `ORD-${created.length + 1}`,
            position: headers.get("log-position") ?? "",
            at_ms: performance.now(),
          });
      };
      for (let n = 0; n < 60; n++) await create();
      await Bun.sleep(KNOWN_AFTER_MS);
      const ending = new AbortController();
      const creating = (async () => {
        while (!ending.signal.aborted) {
          await create();
          await Bun.sleep(50);
        }
      })();

      const readers = new Readers(created, backing.topic);
      let isKilled = false;
      const [first, second, third] = programs;
      readers.add(first, () => false);
      readers.add(second, () => false);
      readers.add(third, () => isKilled);
      await Bun.sleep(CALM_MS);
      isKilled = true;
      third.kill("SIGKILL");
      await shared([first, second], 6);
      await Bun.sleep(CALM_MS);
      const fourth = await members.start();
      await fourth.ready();
      readers.add(fourth, () => false);
      await shared([first, second, fourth], 6);
      await Bun.sleep(CALM_MS);
      await readers.stop();
      ending.abort();
      await creating;

      expect(readers.wrong.slice(0, 5)).toEqual([]);
      // One of them tells an audit about all.
      const { PATH, HOME } = process.env;
      const command = [process.execPath, "src/tools/audit/main.ts", "--services", first.orderUrl, "--rows"];
      const { output } = await runBounded(command, AUDIT_MS_MAX, { ...backing.env, PATH, HOME });
      expect(output).toContain(`6 partitions, ${created.length} orders: all agree.`);
      expect([first, second, fourth].filter(({ orderUrl }) => !output.includes(orderUrl))).toEqual([]);

      // Each kind of question was answered well, many times.
      const good = ["order 200", "position 200", "events 200", "list 200", "rows 200", "nobody's 404"];
      expect(good.filter((what) => (readers.counts.get(what) ?? 0) < 50)).toEqual([]);
    },
    SUITE_MS_MAX,
  );
});

test(
  "two order services on the embedded log share its partitions, each tells all, and one goes on alone when the other is killed",
  async () => {
    await using backing = await embeddedBacking();
    await using first = await startProgram({ env: backing.env, dataDir: backing.dataDir });
    await using second = await startProgram({ role: "consumer", env: backing.env, dataDir: backing.dataDir });
    await first.ready();
    await shared([first, second], 12);
    const numbers = Array.from({ length: 12 }, (_, n) => n + 1);
    let position = "";
    for (const n of numbers) {
      const { headers } = await createOrder(first.cartUrl, { order_id: String(n), number_of_items: 1 });
      position = headers.get("log-position") ?? "";
    }
    const ask = async (program: Program, path: string, given: Record<string, string> = {}) => {
      const response = await fetch(`${program.orderUrl}${path}`, { headers: given });
      return `${response.status} ${await response.text()}`;
    };
    const last = `/order-details?orderId=${numbers.at(-1)}`;
    for (const program of [first, second]) {
      expect(await ask(program, last, { "log-position": position })).toStartWith("200");
      for (const n of numbers)
        await waitUntil(`for order ${n}`, async () => (await ask(program, `/order-details?orderId=${n}`)).startsWith("200"));
      expect(await ask(program, "/order-details?orderId=77")).toStartWith("404");
      const list = JSON.stringify({ topicName: backing.topic, orderIds: numbers.map((n) => `ORD-${n}`).toSorted() });
      expect(await ask(program, `/getAllOrderIdsFromTopic?topicName=${backing.topic}`)).toBe(`200 ${list}`);
      expect(await ask(program, "/orders/1/events")).toContain('"outcome":"created"');
      expect(await ask(program, `/partitions/${position.split(":")[0]}/orders`)).toContain(`ORD-${numbers.at(-1)}`);
    }
    first.kill("SIGKILL");
    await shared([second], 12);
    for (const n of numbers) expect(await ask(second, `/order-details?orderId=${n}`)).toStartWith("200");
  },
  SUITE_MS_MAX,
);
