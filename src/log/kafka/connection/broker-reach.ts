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
  /** When the metadata last named the broker; Infinity if the settings name it. */
  readonly namedAt_ms: number;
  readonly triedAt_ms: number;
  readonly isAway: boolean;
}

/**
 * How long a broker is remembered that the metadata no longer name. They soon leave out a broker that is away, as they
 * do one that was taken out of the cluster for good.
 */
const REMEMBERED_MS_MAX = 600_000;
/** The greatest age of what is said of a broker. */
const TRIED_AGE_MS_MAX = 5_000;
/** The most brokers that a message names. */
const NAMED_MAX = 5;

/** "broker 3 at host:9092"; without the id if only the settings name it. */
export const brokerName = ({ host, port }: Address, nodeId: number | null): string =>
  `${nodeId === null ? "the broker" : `broker ${nodeId}`} at ${host.includes(":") ? `[${host}]` : host}:${port}`;

/**
 * Which brokers can be reached, as seen by all parts of the log, for people: the broker that fails first is seldom the
 * only one. Whenever a failure is reported, the brokers that nobody has tried lately are tried too, so that the next
 * report names all of them.
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
      const name = brokerName(address, null);
      this.#known.set(keyOf(address), { address, name, namedAt_ms: Infinity, triedAt_ms: -Infinity, isAway: false });
    }
  }

  /** Notes that the cluster has these brokers now. */
  noteBrokers(brokers: readonly NodeAddress[]): void {
    for (const address of brokers) {
      const before = this.#known.get(keyOf(address));
      const namedAt_ms = Math.max(this.clock.now_ms(), before?.namedAt_ms ?? 0);
      const { triedAt_ms = -Infinity, isAway = false } = before ?? {};
      const name = brokerName(address, address.nodeId);
      this.#known.set(keyOf(address), { address, name, namedAt_ms, triedAt_ms, isAway });
    }
  }

  /**
   * Notes that a connection to the broker was made, or failed with `e`. A broker that answers in an unexpected way can
   * be reached.
   */
  noteAttempt(address: Address, e?: unknown): void {
    const before = this.#known.get(keyOf(address));
    const now_ms = this.clock.now_ms();
    const { name = brokerName(address, null), namedAt_ms = now_ms } = before ?? {};
    const isAway = e !== undefined && isOutage(e);
    this.#known.set(keyOf(address), { address, name, namedAt_ms, triedAt_ms: now_ms, isAway });
  }

  /**
   * "broker 2 at …, broker 3 at …": the brokers that cannot be reached and that `said` does not name; "" if there are
   * none.
   */
  unreachable(said = ""): string {
    const words = new Set(said.split(/[\s(),;]+/).map((word) => word.replace(/[.:]$/, "")));
    const isSaid = ({ name }: Known) => words.has(name.slice(name.lastIndexOf(" ") + 1));
    const names = this.#remembered().flatMap((known) => (known.isAway && !isSaid(known) ? [known.name] : []));
    const left = names.length - NAMED_MAX;
    return names.slice(0, NAMED_MAX).join(", ") + (left > 0 ? ` and ${left} more` : "");
  }

  /** Adds to a cause or a sentence the unreachable brokers that it does not name itself. */
  withUnreachable(cause: string): string {
    void this.tryAll();
    const unreachable = this.unreachable(cause);
    if (unreachable === "") return cause;
    const [body, end] = cause.endsWith(".") ? [cause.slice(0, -1), "."] : [cause, ""];
    return `${body}; cannot be reached: ${unreachable}${end}`;
  }

  /** Tries the brokers that nobody has tried lately. It takes no longer than a connection may take. */
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
      this.noteAttempt(address);
      void broker.disconnect().catch(() => undefined);
    } catch (e) {
      this.noteAttempt(address, e);
    }
  }

  #remembered(): Known[] {
    const from_ms = this.clock.now_ms() - REMEMBERED_MS_MAX;
    return [...this.#known.values()].filter(({ namedAt_ms }) => namedAt_ms >= from_ms);
  }
}

const keyOf = ({ host, port }: Address): string => `${host} ${port}`;
