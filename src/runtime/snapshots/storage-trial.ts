import type { Clock } from "../../system/clock.ts";
import { type Failure, Outage } from "../read/outage.ts";
import type { Snapshots } from "./snapshots.ts";

/** How often a storage is tried that fails. */
const TRY_WAIT_MS = 30_000;

/**
 * Tries at the start whether the storage of snapshots can be used, before there is anything to copy, and again for as
 * long as it fails. It stops nothing.
 *
 * ```
 *  made ──attempt()──▶ works ◀──attempt() or worked()── fails
 *                        └────────── attempt() ──────────▲
 * ```
 */
export class StorageTrial {
  readonly #outage: Outage;
  #triedAt_ms = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly snapshots: Snapshots,
    private readonly clock: Clock,
    onMessage: (message: string, level: "info" | "warn") => void,
  ) {
    this.#outage = new Outage("Using the storage of snapshots", clock, (message, isOver) =>
      onMessage(message, isOver ? "info" : "warn"),
    );
  }

  /** Undefined while it works. */
  get failure(): Failure | undefined {
    return this.#outage.failure(0);
  }

  /** Whether the last attempt was long enough ago for another one. */
  get isDue(): boolean {
    return this.clock.now_ms() - this.#triedAt_ms >= TRY_WAIT_MS;
  }

  /** Resolves with whether it works. */
  async attempt(): Promise<boolean> {
    this.#triedAt_ms = this.clock.now_ms();
    try {
      await this.snapshots.probe();
    } catch (e) {
      this.#outage.failed(e);
      return false;
    }
    this.worked();
    return true;
  }

  /** Notes that a snapshot was taken, which shows that it works. */
  worked(): void {
    this.#outage.worked();
  }
}
