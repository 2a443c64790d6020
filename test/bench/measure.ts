import { createOrder, orderDetails } from "../support/http.ts";
import { startProgram } from "../support/processes.ts";

export type Env = Readonly<Record<string, string>>;

export interface Target {
  readonly env: Env;
  /** Where the embedded log lies; undefined on a broker. */
  readonly dataDir: string | undefined;
}

const POLL_MS = 10;
const APPLY_WAIT_MS_MAX = 300_000;

interface Ready {
  readonly partitions: readonly { readonly offset: number }[];
}

const applied = async (url: string): Promise<number> => {
  const health = (await (await fetch(`${url}/health/ready`)).json()) as Ready;
  return health.partitions.reduce((sum, { offset }) => sum + offset, 0);
};

export const rss_mib = (pid: number): number =>
  Math.round(
    Number(
      Bun.spawnSync(["ps", "-o", "rss=", "-p", String(pid)])
        .stdout.toString()
        .trim(),
    ) / 1024,
  );

/** Starts a consumer (or a producer, for its index) with nothing applied and follows it to the topic's end. */
export async function measureApply(
  target: Target,
  role: "consumer" | "producer",
  events: number,
): Promise<{ events_per_s: number; rss_mib: number }> {
  const env = { ...target.env, CONSUMER_GROUP: `bench-${crypto.randomUUID()}`, LOG_LEVEL: "warn" };
  if (target.dataDir) await Bun.$`rm -rf ${target.dataDir}/state`.quiet();
  await using program = await startProgram({ role, env, ...(target.dataDir ? { dataDir: target.dataDir } : {}) });
  await program.live();
  const url = role === "consumer" ? program.orderUrl : program.cartUrl;
  const until_ms = performance.now() + APPLY_WAIT_MS_MAX;
  let first: { at_ms: number; count: number } | undefined;
  while (performance.now() < until_ms) {
    const count = await applied(url);
    if (count > 0) first ??= { at_ms: performance.now(), count };
    if (first && count >= events) {
      const events_per_s = Math.round((count - first.count) / ((performance.now() - first.at_ms) / 1_000));
      return { events_per_s, rss_mib: rss_mib(program.pid) };
    }
    await Bun.sleep(POLL_MS);
  }
  throw new Error(`not applied within ${APPLY_WAIT_MS_MAX} ms`);
}

export interface Load {
  readonly requests_per_s: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly failed: number;
}

const WRK_SCRIPT = `
local n = 0
local base = os.time() % 1000000
local tid = 0
function setup(thread) thread:set("tid", tid); tid = tid + 1 end
function request()
  n = n + 1
  return wrk.format("POST", "/create-order", { ["Content-Type"] = "application/json" },
    string.format('{"order_id":"%d%d%07d","number_of_items":3}', base, tid + 1, n))
end
function done(summary, latency)
  print(string.format("RESULT %f %f %f %d", summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end`;

/** Creates of new orders over so many connections, by wrk; undefined where it is not installed. */
export async function measureCreates(url: string, connections: number, seconds: number): Promise<Load | undefined> {
  if (!Bun.which("wrk")) return undefined;
  const script = `${process.env["TMPDIR"] ?? "/tmp"}/create-${crypto.randomUUID()}.lua`;
  await Bun.write(script, WRK_SCRIPT);
  const { stdout } = await Bun.$`wrk -t1 -c${connections} -d${seconds}s -s ${script} ${url}`.quiet();
  await Bun.$`rm -f ${script}`.quiet();
  const [, rps, p50, p99, failed] = /RESULT (\S+) (\S+) (\S+) (\d+)/.exec(String(stdout)) ?? [];
  return { requests_per_s: Math.round(Number(rps)), p50_ms: Number(p50), p99_ms: Number(p99), failed: Number(failed) };
}

export interface Latency {
  readonly p50_ms: number;
  readonly p99_ms: number;
}

const percentiles = (values: number[]): Latency => {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round((sorted[Math.floor(sorted.length * share)] ?? Number.NaN) * 100) / 100;
  return { p50_ms: at(0.5), p99_ms: at(0.99) };
};

/** From a create's answer to the order being readable, asked for again and again without waiting. */
export async function measureReadable(cartUrl: string, orderUrl: string, count: number): Promise<Latency> {
  const values: number[] = [];
  for (let i = 0; i < count; i++) {
    const order_id = `77${String(i).padStart(9, "0")}`;
    const { status } = await createOrder(cartUrl, { order_id, number_of_items: 3 });
    if (status !== 200) throw new Error(`create answered ${status}`);
    const answered_ms = performance.now();
    while ((await orderDetails(orderUrl, order_id)).status !== 200)
      if (performance.now() - answered_ms > 10_000) throw new Error("never readable");
    values.push(performance.now() - answered_ms);
  }
  return percentiles(values);
}
