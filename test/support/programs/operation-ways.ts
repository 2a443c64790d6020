import { describe } from "bun:test";
import { brokerSuite, type TestBroker } from "../brokers/broker.ts";
import { connectSuite } from "../brokers/connect.ts";
import { type Backing, brokerBacking, embeddedBacking } from "../brokers/foreign.ts";

/** A way in which replay, redrive and archive move records: where the log is, and what moves them. */
export interface Way {
  readonly kind: "embedded" | "direct" | "connect";
  readonly open: () => Promise<Backing>;
  /** Options that every command gets. */
  readonly args: readonly string[];
  readonly env: (backing: Backing) => Readonly<Record<string, string>>;
  readonly broker?: TestBroker;
}

/**
 * Runs the suite in each way that this machine has; reports loudly one that it has not. Await it at the top of the
 * file.
 */
export async function eachWay(name: string, suite: (way: Way) => void): Promise<void> {
  const connectBin = process.env["REDPANDA_CONNECT_BIN"];
  const env = (backing: Backing) => ({
    ...backing.env,
    DATA_DIR: backing.dataDir,
    ...(connectBin ? { REDPANDA_CONNECT_BIN: connectBin } : {}),
  });
  describe(`${name} on the embedded log`, () => suite({ kind: "embedded", open: embeddedBacking, args: [], env }));
  await brokerSuite(`${name} on a broker without Connect`, (broker) =>
    suite({ kind: "direct", open: () => brokerBacking(broker.brokers), args: ["--direct"], env, broker }),
  );
  await connectSuite(`${name} through Redpanda Connect`, (connect) =>
    brokerSuite(`${name} through Redpanda Connect (${connect.kind})`, (broker) =>
      suite({ kind: "connect", open: () => brokerBacking(broker.brokers), args: [], env, broker }),
    ),
  );
}
