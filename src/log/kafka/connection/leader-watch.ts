import type { Clock } from "../../../system/clock.ts";
import type { TopicLeaders } from "./leaders.ts";

/** How late an answer may be before the metadata are checked for whether its broker still leads. */
export const PATIENCE_MS = 1_000;
/** How often they are checked from then on. */
export const LOOK_WAIT_MS = 300;

interface Watched {
  readonly leaders: TopicLeaders;
  readonly nodeId: number;
  readonly parts: readonly { readonly partition: number }[];
  readonly since_ms: number;
  readonly onMoved: (why: Error) => void;
}

/** A request to a leader, which is given up as soon as another broker leads. */
export interface LeaderRequest {
  /** Settles when `answer` does, or rejects when another broker leads one of the partitions. */
  orMoved<T>(answer: Promise<T>): Promise<T>;
  /** Must be called when the request is over. */
  end(): void;
}

/**
 * Gives up requests to brokers that no longer lead. A broker that has stalled keeps its connections open, so a request
 * to it ends only by timing out, long after the cluster has given its partitions to another broker. Whenever an answer
 * is late, the metadata are therefore checked. One timer serves all requests, and none runs while there are none.
 */
export class LeaderWatch {
  readonly #watched = new Set<Watched>();
  #isLooking = false;

  constructor(private readonly clock: Clock) {}

  begin(leaders: TopicLeaders, nodeId: number, parts: Watched["parts"]): LeaderRequest {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    const watched = { leaders, nodeId, parts, since_ms: this.clock.now_ms(), onMoved: reject };
    this.#watched.add(watched);
    if (!this.#isLooking) void this.#look();
    return {
      orMoved: (answer) => Promise.race([answer, promise]),
      end: () => void this.#watched.delete(watched),
    };
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    while (this.#watched.size > 0) {
      await this.clock.sleep(LOOK_WAIT_MS);
      const late_ms = this.clock.now_ms() - PATIENCE_MS;
      const late = [...this.#watched].filter(({ since_ms }) => since_ms <= late_ms);
      await Promise.all(
        [...new Set(late.map(({ leaders }) => leaders))].map((leaders) => leaders.refresh().catch(() => undefined)),
      );
      for (const { leaders, nodeId, parts, onMoved } of late) {
        const isMoved = parts.some(({ partition }) => (leaders.leaderOf(partition)?.nodeId ?? nodeId) !== nodeId);
        if (isMoved) onMoved(new Error(`broker ${nodeId} did not answer, and another one leads the partition now`));
      }
    }
    this.#isLooking = false;
  }
}
