import type { Cluster } from "../support/cluster/cluster.ts";
import type { Fleet } from "./fleet.ts";
import type { Ledger } from "./ledger.ts";
import type { WorkDir } from "./work-dir.ts";

export interface FaultWorld {
  readonly fleet: Fleet;
  readonly cluster: Cluster;
  readonly topic: string;
  readonly brokerTurns: Turns;
  readonly ledger: Ledger;
  readonly workDir: WorkDir;
  readonly session_ms: number;
  readonly random: () => number;
  /** Aborts when the run is ended early; faults under way then end at once. */
  readonly ending: AbortSignal;
}

/** Injects a fault, and resolves with what it did; undefined if there was nothing to do it to. */
export type Fault = (world: FaultWorld, n: number) => Promise<string | undefined>;

/** Lets one fault at a time disturb the brokers, because two of the three have to stay up. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  async take(): Promise<Disposable> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    return { [Symbol.dispose]: resolve };
  }
}

export const pause = ({ ending }: FaultWorld, ms: number): Promise<unknown> => sleep(ms, ending);

/** Resolves with undefined after `ms`, or as soon as `signal` aborts. */
export function sleep(ms: number, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined);
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve(undefined);
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
