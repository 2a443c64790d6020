import type { Log } from "../../log/port.ts";
import { type Clock, within } from "../../system/clock.ts";
import type { PartitionActor } from "../actor/actor.ts";
import type { Actors } from "../actors.ts";
import type { TopicsStanding } from "../held-partitions.ts";
import { lostHeads } from "../topics/lost-heads.ts";
import type { EndsInquiry, Asker } from "./ends-inquiry.ts";
import type { LogFailures } from "./log-failures.ts";
import type { Question } from "./question.ts";
import type { ReadLoop } from "./read-loop.ts";
import { Standstill } from "./standstill.ts";

/** How often to look whether a partition stands still, and how long the log may take to tell its ends. */
export const LOOK_WAIT_MS = 5_000;

export interface RegularLookOptions {
  readonly log: Log;
  readonly topic: string;
  readonly actors: Actors;
  readonly failures: LogFailures;
  readonly inquiry: EndsInquiry<Question | undefined, Asker<Question | undefined>>;
  readonly readLoop: ReadLoop;
  /** Told of the first records that the log has lost although the state has them. */
  readonly topics?: TopicsStanding | undefined;
  readonly onWarning: (partition: number | undefined, message: string) => void;
  readonly clock: Clock;
}

/**
 * Asks for the log's ends even while reading seems to go well, because a fetch that is never answered reports nothing,
 * and has the connections made anew where partitions stand still.
 *
 * ```
 *  made ──run()──▶ looking every LOOK_WAIT_MS ──`ending` aborts──▶ ended
 * ```
 */
export class RegularLook {
  readonly #standstill = new Standstill(LOOK_WAIT_MS);

  constructor(private readonly options: RegularLookOptions) {}

  get standstill(): string | undefined {
    return this.#standstill.reason;
  }

  async run(ending: AbortSignal): Promise<void> {
    const { clock, actors, failures } = this.options;
    for (;;) {
      await clock.sleep(LOOK_WAIT_MS, ending);
      if (ending.aborted) return;
      if (actors.size === 0) continue;
      failures.tellOfSome(actors.of("owner"));
      try {
        await this.#look(ending);
      } catch (e) {
        // If reading fails too, that has been reported already. If it does not, a partition may be without a leader,
        // which nothing else notices.
        if (!failures.records.isUnderWay) failures.ends.failed(e);
      }
    }
  }

  async #look(ending: AbortSignal): Promise<void> {
    const { clock, log, topic, actors, failures, inquiry, readLoop, topics, onWarning } = this.options;
    const asked = [...actors.values()].map((actor) => ({ actor, question: actor.question }));
    const ends = await within(clock, LOOK_WAIT_MS, log.ends(topic));
    if (!ends) throw new Error(`no answer within ${LOOK_WAIT_MS} ms`);
    failures.ends.worked();
    topics?.noteLostHeads(lostHeads(actors.of("owner"), ends.partitions));
    const isHeld = (actor: PartitionActor) => !ending.aborted && actors.get(actor.partition) === actor;
    for (const { actor, question } of asked) if (isHeld(actor) && !actor.hear(question, ends)) inquiry.ask(actor);
    // A process that a quota slows down still makes progress.
    if (!this.#standstill.look(readLoop.isThrottled ? [] : actors.of("owner"), ends.partitions)) return;
    onWarning(undefined, this.#standstill.reason ?? "");
    readLoop.reconnect();
  }
}
