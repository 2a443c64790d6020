import { describe, beforeAll, test } from "bun:test";
import { brokerAnswers } from "./broker-probe.ts";
import { startKafka } from "./kafka.ts";
import { startRedpanda } from "./redpanda.ts";

/** A real broker of the Kafka protocol, one for all suites of a test run. */
export interface TestBroker {
  /** `host:port,…`, as KAFKA_BROKERS takes it. */
  readonly brokers: string;
  /** given: named by KAFKA_BROKERS. redpanda: run by Docker Compose. kafka: Apache Kafka on this machine's Java. */
  readonly kind: "given" | "redpanda" | "kafka";
  /** Whether `kill`, `stop` and `start` work; on a given broker they reject. */
  readonly canRestart: boolean;
  /** A second way in, for clients that go through a proxy; only kind "kafka" has it. */
  readonly proxied?: ProxiedListener;
  /** Sends SIGKILL. Resolves when the broker is gone. */
  kill(): Promise<void>;
  /** Sends SIGTERM. Resolves when the broker is gone. */
  stop(): Promise<void>;
  /**
   * Starts the broker again with the same ports and data, and waits until it answers. Does nothing if it is running.
   */
  start(): Promise<void>;
}

/**
 * The broker listens on `listenPort` and tells the clients that connect there that it lives on `advertisedPort`. A
 * proxy that listens on `advertisedPort` and forwards to `listenPort` sees all of their connections. Both ports are on
 * 127.0.0.1.
 */
export interface ProxiedListener {
  readonly listenPort: number;
  readonly advertisedPort: number;
}

/** A broker and how to dispose of it. */
export interface OwnedBroker {
  readonly broker: TestBroker;
  dispose(): Promise<void>;
}

/** A broker, or why there is none. */
export type Attempt = OwnedBroker | { readonly unavailable: string };

/** The run's broker, from KAFKA_BROKERS, else Docker, else Java. It is started once. */
let found: Promise<{ readonly owned?: OwnedBroker; readonly reasons: readonly string[] }> | undefined;

/** Ends the run's broker, if one was started. */
export async function disposeBroker(): Promise<void> {
  const { owned } = (await found) ?? {};
  found = undefined;
  await owned?.dispose();
}

/**
 * `describe` for tests that need a broker; await it at the top of the file. Without a broker the suite is skipped with
 * one loud line, or fails if CI is set.
 */
export async function brokerSuite(name: string, body: (broker: TestBroker) => void): Promise<void> {
  const { owned, reasons } = await search();
  if (owned) {
    const { broker } = owned;
    describe(`${name} (${broker.kind})`, () => {
      // A failed test of an earlier suite may have left the broker dead.
      if (broker.canRestart) beforeAll(() => broker.start(), broker_start_ms_max);
      body(broker);
    });
    return;
  }
  const why = `no Kafka broker was found. ${reasons.join(" ")}`;
  if (isSet(process.env["CI"])) {
    describe(name, () => {
      test("needs a broker", () => {
        throw new Error(`With CI set, this suite must run, but ${why}`);
      });
    });
    return;
  }
  console.warn(`\n!!! SKIPPED: ${name}: ${why}\n`);
  describe.skip(name, () => test("needs a broker", () => {}));
}

/** The longest time a broker may take to start, for the timeouts of hooks and tests that restart it. */
export const broker_start_ms_max = 90_000;

function search() {
  found ??= searchOnce();
  return found;
}

async function searchOnce() {
  const reasons: string[] = [];
  for (const attempt of [given, startRedpanda, startKafka]) {
    const result = await attempt();
    if ("broker" in result) return { owned: result, reasons };
    reasons.push(result.unavailable);
  }
  return { reasons };
}

async function given(): Promise<Attempt> {
  const brokers = process.env["KAFKA_BROKERS"];
  if (!isSet(brokers)) return { unavailable: "KAFKA_BROKERS is not set." };
  if (!(await brokerAnswers(brokers))) {
    throw new Error(
      `KAFKA_BROKERS=${brokers} does not answer. Start that broker, or unset KAFKA_BROKERS to let the tests find one.`,
    );
  }
  const refuse = () =>
    Promise.reject(new Error(`The broker ${brokers} was given by KAFKA_BROKERS; the tests do not restart it.`));
  return {
    broker: { brokers, kind: "given", canRestart: false, kill: refuse, stop: refuse, start: refuse },
    dispose: () => Promise.resolve(),
  };
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== "" && value !== "false" && value !== "0";
}
