import { parseArgs } from "node:util";

export const FAULT_KINDS = [
  "kills",
  "stops",
  "rebalances",
  "leader-kills",
  "broker-pauses",
  "broker-restarts",
  "connection-cuts",
  "ack-cuts",
  "lost-disks",
  "full-disks",
  "corruptions",
  "damaged-snapshots",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Options {
  readonly minutes: number;
  /** How many operations begin per second. */
  readonly rate: number;
  readonly seed: number;
  readonly faults: Readonly<Record<FaultKind, number>>;
  /** The kinds of fault whose number was given; a run that cannot do them fails. */
  readonly asked: ReadonlySet<FaultKind>;
}

export const USAGE = `Usage: bun run soak [--minutes N] [--rate N] [--seed N]
       [--kills N] [--stops N] [--rebalances N] [--leader-kills N] [--broker-pauses N] [--broker-restarts N]
       [--connection-cuts N] [--ack-cuts N] [--lost-disks N] [--full-disks N] [--corruptions N]
       [--damaged-snapshots N]

Runs three carts and three order services on three real brokers (Apache Kafka on Java), under a steady load of --rate
operations a second (120), for --minutes (10), with N faults of each kind, at times that --seed decides. A fourth order
service comes and goes; some of the four ask for standbys, and some take snapshots and are restored from them. Then
compares every answer, every row and every dead letter with a reference. Without a number, a kind of fault happens as often, in
proportion, as in the ten minutes of CI. Ctrl-C ends the run early; the audit still follows.`;

const PER_TEN_MINUTES: Readonly<Record<FaultKind, number>> = {
  kills: 20,
  stops: 5,
  rebalances: 20,
  "leader-kills": 15,
  "broker-pauses": 3,
  "broker-restarts": 2,
  "connection-cuts": 10,
  "ack-cuts": 50,
  "lost-disks": 3,
  "full-disks": 2,
  corruptions: 3,
  "damaged-snapshots": 4,
};

/** Reads the options; undefined if help is asked for. Throws if an option is not valid. */
export function readOptions(args: string[]): Options | undefined {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: {
      minutes: { ...text, default: "10" },
      rate: { ...text, default: "120" },
      seed: text,
      help: { type: "boolean", short: "h", default: false },
      ...(Object.fromEntries(FAULT_KINDS.map((kind) => [kind, text])) as Record<FaultKind, typeof text>),
    },
  });
  if (values.help) return undefined;
  const number = (name: string, given: string, least: number, most: number): number => {
    const n = /^[0-9]{1,9}(\.[0-9]{1,3})?$/.test(given) ? Number(given) : Number.NaN;
    if (n >= least && n <= most) return n;
    throw new Error(`--${name} is ${given}; it must be a number from ${least} to ${most}.`);
  };
  const minutes = number("minutes", values.minutes, 0.2, 1_440);
  const count = (kind: FaultKind): number => {
    const given = values[kind];
    return given === undefined ? Math.ceil((PER_TEN_MINUTES[kind] * minutes) / 10) : Math.floor(number(kind, given, 0, 100_000));
  };
  return {
    minutes,
    rate: number("rate", values.rate, 1, 2_000),
    seed: values.seed === undefined ? Math.floor(Math.random() * 1e6) : number("seed", values.seed, 0, 999_999_999),
    faults: Object.fromEntries(FAULT_KINDS.map((kind) => [kind, count(kind)])) as Record<FaultKind, number>,
    asked: new Set(FAULT_KINDS.filter((kind) => values[kind] !== undefined)),
  };
}
