import type { Clock } from "../../system/clock.ts";
import { READ_FAILING_MS_MAX } from "../actor/hindrance.ts";
import type { Hidden } from "./hidden-tail.ts";
import { type Failure, Outage } from "./outage.ts";

/** At most this many partitions that cannot be read are named, each with its cause. */
const UNREADABLE_NAMED_MAX = 3;

interface Held {
  readonly partition: number;
  readonly state: string;
  readonly hindered: string | undefined;
  /** Since when the partition cannot be read, on the process's clock. */
  readonly unreadableSince_ms: number | undefined;
  readonly hidden: Hidden | undefined;
}

/**
 * Follows what fails when a process uses the log: reading at all, asking for ends, or reading some of the partitions.
 * It is reported to people and to health.
 */
export class LogFailures {
  readonly records: Outage;
  readonly ends: Outage;
  readonly #some: Outage;
  readonly #hidden: Outage;
  #hasRead = false;

  constructor(
    topic: string,
    private readonly clock: Clock,
    onMessage: (message: string) => void,
  ) {
    this.records = new Outage(`Reading the records of ${topic}`, clock, onMessage);
    this.ends = new Outage(`Asking for the ends of ${topic}`, clock, onMessage);
    this.#some = new Outage(`Reading some partitions of ${topic}`, clock, onMessage);
    this.#hidden = new Outage(`Reading ${topic} behind other programs' transactions`, clock, onMessage);
  }

  /** Notes that reading worked. Returns true if it had failed for so long that the log may have grown. */
  noteRead(): boolean {
    this.#hasRead = true;
    return this.records.worked() >= READ_FAILING_MS_MAX;
  }

  /**
   * Why nothing can be read. It is reported at once if nothing has been read yet, and otherwise once it has lasted.
   */
  readFailure(held: Iterable<Held>): Failure | undefined {
    const failing_ms = this.#hasRead ? READ_FAILING_MS_MAX : 0;
    const failure = this.records.failure(failing_ms) ?? this.#ofAll(held);
    return failure ?? (this.#hasRead ? undefined : this.ends.failure(failing_ms));
  }

  tellOfSome(held: Iterable<Held>): void {
    const all = [...held];
    const isHalted = all.some(({ state }) => state === "halted");
    tell(
      this.#some,
      all.filter(({ unreadableSince_ms }) => unreadableSince_ms !== undefined),
      isHalted,
      ({ hindered }) => hindered,
    );
    tell(
      this.#hidden,
      all.filter(({ unreadableSince_ms, hidden }) => unreadableSince_ms === undefined && hidden?.lasting !== undefined),
      isHalted,
      ({ hidden }) => hidden?.lasting?.sentence,
    );
  }

  /** If none of the partitions can be read, the log as a whole fails. */
  #ofAll(held: Iterable<Held>): Failure | undefined {
    let since_ms = 0;
    let sentence = "";
    for (const { unreadableSince_ms, hindered, partition } of held) {
      if (unreadableSince_ms === undefined) return undefined;
      since_ms = Math.max(since_ms, unreadableSince_ms);
      sentence ||= `Partition ${partition}: ${hindered}`;
    }
    const lasted_ms = this.clock.now_ms() - since_ms;
    return lasted_ms < READ_FAILING_MS_MAX ? undefined : { sentence, since_ms: this.clock.wall_ms() - lasted_ms };
  }
}

function tell(outage: Outage, failing: readonly Held[], isHalted: boolean, why: (held: Held) => string | undefined): void {
  if (failing.length === 0) {
    // A partition that was halted for it has not become well.
    if (isHalted) outage.forget();
    else outage.worked();
    return;
  }
  const named = failing.slice(0, UNREADABLE_NAMED_MAX).map((held) => `partition ${held.partition}: ${why(held)}`);
  const left = failing.length - named.length;
  outage.failed(named.join(" ") + (left > 0 ? ` And ${left} more.` : ""));
}
