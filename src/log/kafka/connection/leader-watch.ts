import type { Clock } from "../../../system/clock.ts";
import type { TopicLeaders } from "./leaders.ts";

/** How long an answer may take before it is looked whether its broker still leads, and how often from then on. */
export const PATIENCE_MS = 1_000;
export const LOOK_WAIT_MS = 300;

interface Watched {
  readonly leaders: TopicLeaders;
  readonly nodeId: number;
  readonly parts: readonly { readonly partition: number }[];
  readonly since_ms: number;
  readonly moved: (why: Error) => void;
}

/** A request to a leader, which is given up as soon as another broker leads. */
export interface LeaderRequest {
  /** Settles as `answer` does, or rejects when another broker leads one of the partitions. */
  orMoved<T>(answer: Promise<T>): Promise<T>;
  /** To be called when it is over. */
  end(): void;
}

/**
 * A broker that stands still keeps its connections, so a request to it ends only by its time-out, while the cluster has long given its
 * partitions to another. This looks at the metadata whenever an answer takes long; one timer for all, and none while none does.
 */
export class LeaderWatch {
  readonly #watched = new Set<Watched>();
  #isLooking = false;

  constructor(private readonly clock: Clock) {}

  begin(leaders: TopicLeaders, nodeId: number, parts: Watched["parts"]): LeaderRequest {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    const watched = { leaders, nodeId, parts, since_ms: this.clock.now_ms(), moved: reject };
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
      for (const { leaders, nodeId, parts, moved } of late) {
        const isMoved = parts.some(({ partition }) => (leaders.leaderOf(partition)?.nodeId ?? nodeId) !== nodeId);
        if (isMoved) moved(new Error(`broker ${nodeId} did not answer, and another one leads the partition now`));
      }
    }
    this.#isLooking = false;
  }
}
