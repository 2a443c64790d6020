import { parseArgs } from "node:util";
import { eventCount, type Load } from "./load.ts";
import { type Peer, peerOf } from "./peer.ts";

export const usage = `Usage: bun run bench [options]      on the embedded log and, with KAFKA_BROKERS (loopback only), on that broker

What is measured
  --only STEP,…           these steps alone (default apply,creates,readable,restore,memory). Steps:
    apply                 events per second of a full topic from an empty state, their CPU time, the peak of memory
    creates               POST /create-order at 8, 64 and 256 connections, beside a bare Elysia route and one bare produce
    readable              a create's answer until its order can be read
    restore               CPU time of an event as it comes, and when a full topic is read
    memory                the peak of an order service's memory, its disk per order (Linux only)
    index                 the cart's index: events per second, hot and cold, bytes per order, the peak of its memory
    start                 restart to ready, after a clean stop and after SIGKILL; a rebuild against the live rate
    growth                events per second at growing numbers of orders; the longest wait of /health/live meanwhile
    live                  CPU time of an event at offered rates; create to readable while creates and events come in
    hop                   reads of orders at their owner and at another order service, in turn: what the hop costs
    takeover              from the group's word to a strict answer, for one partition: from nothing, from a snapshot, and
                          by a standby whose owner was killed while events come in
    snapshots             events per second of a backlog, without snapshots and with one after another, in turn
    instances             events per second of a full topic from an empty state, with 1, 2 and 3 order services
    carts                 creates per second of 1, 2 and 3 carts, and what of the index each keeps (on a broker)
  --growth ORDERS,…       adds the step growth, with these numbers of orders (default 100000,1000000,4000000)
  --live RATES,…          adds the step live, with these events per second (default 2000,20000,50000)
  --takeover ORDERS       adds the step takeover, with a partition of so many orders (default 1000000)

On what
  --log embedded|kafka    this log alone
  --cold                  all orders are created under ids in no order, then each is updated long after; without it
                          events are hot: each finds its order among the newest 1,000. It goes for every step with a full
                          topic, and for live; growth is cold always
  --orders N              orders of the full topic (default 250000, cold 4000000)
  --updates N             updates of each order (default 3, cold 1)
  --events N              in place of --orders: events of the full topic, a multiple of 1 + updates
  --topic NAME            a topic of the broker that is full already and is left as it is, for apply, memory, index and start.
                          Without it a topic is filled under a name of its own, kept, and used again by the next run
  --processes N,…         consumers of one group, for apply on a broker; 1,2 measures with one, then with two (default 1)
  --orders-for-memory N,… orders at which memory and disk are read, for memory and index (default 250000)

How
  --turns N               runs of which the median is taken, in turn (default 3)
  --seconds N             length of each load step (default 10)
  --peer 'name=command'   the same job as apply by another program on the broker's topic, turn about with ours; may be given
                          several times. {brokers}, {topic}, {events}, {partitions} and {dir}, an empty directory, are filled
                          in. It prints a JSON line with events_per_s_processing or events_per_s
  --predecessor URL       a cart of the predecessor, which gets the load of creates, too
  --json FILE             where the JSON of each log goes (default bench-<log>.json)

The program's CPU time and memory are those that /proc tells (Linux only). Every run is bounded in time.`;

export const stepNames = [
  "apply",
  "creates",
  "readable",
  "restore",
  "memory",
  "index",
  "start",
  "growth",
  "live",
  "hop",
  "takeover",
  "snapshots",
  "instances",
  "carts",
] as const;
export type StepName = (typeof stepNames)[number];

export const logNames = ["embedded", "kafka"] as const;
export type LogName = (typeof logNames)[number];

export interface Options {
  readonly help: boolean;
  readonly steps: readonly StepName[];
  readonly logs: readonly LogName[];
  /** The content of the full topic. */
  readonly load: Load;
  /** The updates of each order, if they are not those that the shape has by default. */
  readonly updates: number | undefined;
  readonly topic: string | undefined;
  readonly processes: readonly number[];
  readonly memoryOrders: readonly number[];
  readonly growthOrders: readonly number[];
  readonly liveRates: readonly number[];
  /** The orders of the partition that is taken over. */
  readonly takeoverOrders: number;
  readonly turns: number;
  readonly step_s: number;
  readonly peers: readonly Peer[];
  readonly predecessor: string | undefined;
  readonly json: string | undefined;
}

const defaultSteps: readonly StepName[] = ["apply", "creates", "readable", "restore", "memory"];
const orders_max = 100_000_000;

/** Throws an error whose message says what is wrong. */
export function optionsOf(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string" },
      growth: { type: "string" },
      live: { type: "string" },
      takeover: { type: "string" },
      log: { type: "string" },
      cold: { type: "boolean", default: false },
      orders: { type: "string" },
      updates: { type: "string" },
      events: { type: "string" },
      topic: { type: "string" },
      processes: { type: "string", default: "1" },
      "orders-for-memory": { type: "string", default: "250000" },
      turns: { type: "string", default: "3" },
      seconds: { type: "string", default: "10" },
      peer: { type: "string", multiple: true, default: [] },
      predecessor: { type: "string" },
      json: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const added = (["growth", "live", "takeover"] as const).filter((name) => values[name]);
  const only = values.only === undefined ? defaultSteps : chosen("only", values.only, stepNames);
  return {
    help: values.help,
    steps: stepNames.filter((name) => only.includes(name) || added.some((one) => one === name)),
    logs: values.log === undefined ? logNames : chosen("log", values.log, logNames),
    load: loadOf(values),
    updates: updatesIn(values),
    topic: values.topic,
    processes: counts("processes", values.processes, 16),
    memoryOrders: counts("orders-for-memory", values["orders-for-memory"], orders_max),
    growthOrders: counts("growth", values.growth ?? "100000,1000000,4000000", orders_max),
    liveRates: counts("live", values.live ?? "2000,20000,50000", 1_000_000),
    takeoverOrders: count("takeover", values.takeover ?? "1000000", orders_max),
    turns: count("turns", values.turns, 99),
    step_s: count("seconds", values.seconds, 300),
    peers: values.peer.map(peerOf),
    predecessor: values.predecessor,
    json: values.json,
  };
}

interface LoadValues {
  readonly cold: boolean;
  readonly orders?: string | undefined;
  readonly updates?: string | undefined;
  readonly events?: string | undefined;
}

function loadOf(values: LoadValues): Load {
  const { cold, orders, events } = values;
  const shape = cold ? "cold" : "hot";
  const loadWith = (all: number) => loadOfShape(shape, all, updatesIn(values));
  if (events === undefined) return loadWith(count("orders", orders ?? (cold ? "4000000" : "250000"), orders_max));
  const { updatesPerOrder } = loadWith(1);
  if (orders !== undefined) throw new Error("--orders and --events say the same thing: give one of them.");
  const all = count("events", events, orders_max);
  if (all % (1 + updatesPerOrder) !== 0)
    throw new Error(`--events is ${events}; it must be a multiple of ${1 + updatesPerOrder}.`);
  return loadWith(all / (1 + updatesPerOrder));
}

const updatesIn = ({ updates }: LoadValues): number | undefined =>
  updates === undefined ? undefined : count("updates", updates, 100);

/** The load of a shape, with the updates that it has by default unless `updates` says otherwise. */
export const loadOfShape = (shape: Load["shape"], orders: number, updates: number | undefined): Load => ({
  shape,
  orders,
  updatesPerOrder: updates ?? (shape === "cold" ? 1 : 3),
});

/** The load of the same kind with other orders. */
export const withOrders = (load: Load, orders: number): Load => ({ ...load, orders });

/** How long one run over so many events may take: a start, and 10,000 events a second. */
export const run_ms_max = (load: Load): number => 60_000 + eventCount(load) / 10;

function count(name: string, text: string, max: number): number {
  const n = Number(text);
  if (/^\d+$/.test(text) && n > 0 && n <= max) return n;
  throw new Error(`--${name} is ${text}; it must be an integer from 1 to ${max}.`);
}

const counts = (name: string, text: string, max: number): number[] => text.split(",").map((one) => count(name, one.trim(), max));

function chosen<Name extends string>(option: string, text: string, names: readonly Name[]): Name[] {
  return text.split(",").map((one) => {
    const name = names.find((known) => known === one.trim());
    if (name === undefined) throw new Error(`--${option} has ${one}; it takes ${names.join(", ")}.`);
    return name;
  });
}
