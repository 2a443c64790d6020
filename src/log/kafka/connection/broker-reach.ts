import type { Clock } from "../../../system/clock.ts";
import type { MakeBroker } from "./cluster.ts";
import { isOutage } from "../protocol/errors.ts";
import type { NodeAddress } from "../protocol/metadata.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

interface Known {
  readonly address: Address;
  readonly name: string;
  /** When the metadata last named it; always where the settings do. */
  readonly namedAt_ms: number;
  readonly triedAt_ms: number;
  readonly isAway: boolean;
}

/** A broker that is away is soon named by no metadata any more, and so is one that was taken out of the cluster for good. */
const REMEMBERED_MS_MAX = 600_000;
/** What is known of a broker is so old at most when it is told of. */
const TRIED_AGE_MS_MAX = 5_000;
/** So many are named. */
const NAMED_MAX = 5;

/** "broker 3 at host:9092"; without an id where it is known by the settings alone. */
export const nameOf = ({ host, port }: Address, nodeId: number | null): string =>
  `${nodeId === null ? "the broker" : `broker ${nodeId}`} at ${host.includes(":") ? `[${host}]` : host}:${port}`;

/**
 * Which brokers can be reached, by what all parts of the log have seen, for people: what fails first is seldom all that does. Where a
 * failure is told, the brokers that nobody tried of late are tried too, so that the next time all of them are named.
 */
export class BrokerReach {
  readonly #known = new Map<string, Known>();
  #isClosed = false;

  constructor(
    seeds: readonly Address[],
    private readonly makeBroker: MakeBroker,
    private readonly clock: Clock,
  ) {
    for (const address of seeds) {
      const name = nameOf(address, null);
      this.#known.set(keyOf(address), { address, name, namedAt_ms: Infinity, triedAt_ms: -Infinity, isAway: false });
    }
  }

  /** The cluster has these brokers now. */
  named(brokers: readonly NodeAddress[]): void {
    for (const address of brokers) {
      const before = this.#known.get(keyOf(address));
      const namedAt_ms = Math.max(this.clock.now_ms(), before?.namedAt_ms ?? 0);
      const { triedAt_ms = -Infinity, isAway = false } = before ?? {};
      const name = nameOf(address, address.nodeId);
      this.#known.set(keyOf(address), { address, name, namedAt_ms, triedAt_ms, isAway });
    }
  }

  /** It was connected to, or that failed with `e`. One that answers otherwise than expected can be reached. */
  tried(address: Address, e?: unknown): void {
    const before = this.#known.get(keyOf(address));
    const now_ms = this.clock.now_ms();
    const { name = nameOf(address, null), namedAt_ms = now_ms } = before ?? {};
    const isAway = e !== undefined && isOutage(e);
    this.#known.set(keyOf(address), { address, name, namedAt_ms, triedAt_ms: now_ms, isAway });
  }

  /** "broker 2 at …, broker 3 at …": those that cannot be reached and are not in `said`; empty where there are none. */
  unreachable(said = ""): string {
    const words = new Set(said.split(/[\s(),;]+/).map((word) => word.replace(/[.:]$/, "")));
    const isSaid = ({ name }: Known) => words.has(name.slice(name.lastIndexOf(" ") + 1));
    const names = this.#remembered().flatMap((known) => (known.isAway && !isSaid(known) ? [known.name] : []));
    const left = names.length - NAMED_MAX;
    return names.slice(0, NAMED_MAX).join(", ") + (left > 0 ? ` and ${left} more` : "");
  }

  /** A cause, or a sentence, with the brokers that cannot be reached beside what it says itself. */
  beside(cause: string): string {
    void this.tryAll();
    const unreachable = this.unreachable(cause);
    if (unreachable === "") return cause;
    const [body, end] = cause.endsWith(".") ? [cause.slice(0, -1), "."] : [cause, ""];
    return `${body}; cannot be reached: ${unreachable}${end}`;
  }

  /** Tries those that nobody tried of late; bounded by what a connection may take. */
  async tryAll(): Promise<void> {
    if (this.#isClosed) return;
    const now_ms = this.clock.now_ms();
    const due = this.#remembered().filter(({ triedAt_ms }) => now_ms - triedAt_ms >= TRIED_AGE_MS_MAX);
    for (const known of due) this.#known.set(keyOf(known.address), { ...known, triedAt_ms: now_ms });
    await Promise.all(due.map(({ address }) => this.#try(address)));
  }

  close(): void {
    this.#isClosed = true;
  }

  async #try(address: Address): Promise<void> {
    try {
      const broker = await this.makeBroker(address, null);
      await broker.connect();
      this.tried(address);
      void broker.disconnect().catch(() => undefined);
    } catch (e) {
      this.tried(address, e);
    }
  }

  #remembered(): Known[] {
    const from_ms = this.clock.now_ms() - REMEMBERED_MS_MAX;
    return [...this.#known.values()].filter(({ namedAt_ms }) => namedAt_ms >= from_ms);
  }
}

const keyOf = ({ host, port }: Address): string => `${host} ${port}`;
