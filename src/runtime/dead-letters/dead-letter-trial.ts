import { type Clock, within } from "../../system/clock.ts";
import type { Log } from "../../log/port.ts";
import { letterProducer } from "./letter-producer.ts";
import { Outage } from "../read/outage.ts";

const RETRY_WAIT_MS = 60_000;
/** A broker that is still choosing a coordinator answers late. */
const ANSWER_MS_MAX = 30_000;
/**
 * Two names are tried, because a right to one id says nothing about the ids of all partitions. The partitions' own ids
 * are not tried: that would fence whoever appends now.
 */
const TRIED = ["check", "check2"];

export interface DeadLetterTrialOptions {
  readonly log: Log;
  readonly deadLetterTopic: string;
  readonly clock: Clock;
  readonly onWarning: (message: string) => void;
}

/**
 * Tries whether dead letters could be appended, before there are any. A right to the transactional ids or a
 * coordinator may be missing, and it is better to know that at the start than with the first poison. It appends
 * nothing; the log is asked whether this user may write.
 *
 * ```
 *  made ──run()──▶ trying ──it works──▶ done
 *                    └─ it fails: there is a failure until it works or worked(); after a minute ─▶ trying
 * ```
 */
export class DeadLetterTrial {
  readonly #outage: Outage;

  constructor(private readonly options: DeadLetterTrialOptions) {
    this.#outage = new Outage(`Preparing to append to ${options.deadLetterTopic}`, options.clock, options.onWarning);
  }

  /** Why dead letters could not be appended: a sentence, until it works. */
  get failure(): string | undefined {
    return this.#outage.lasting(0);
  }

  /** Notes that letters were appended, which shows that it works. */
  worked(): void {
    this.#outage.worked();
  }

  /** Tries each minute until it works. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#try();
        this.#outage.worked();
        return;
      } catch (e) {
        if (signal.aborted) return;
        this.#outage.failed(e);
      }
      await this.options.clock.sleep(RETRY_WAIT_MS, signal);
    }
  }

  async #try(): Promise<void> {
    const { log, deadLetterTopic } = this.options;
    for (const name of TRIED) await this.#open(name);
    const described = await log.describe(deadLetterTopic);
    if (!described) throw new Error(`the topic ${deadLetterTopic} does not exist`);
    if (described.mayWrite === false) throw new Error(`this user may not write to the topic ${deadLetterTopic}; grant it WRITE`);
  }

  async #open(name: string): Promise<void> {
    const { log, deadLetterTopic, clock } = this.options;
    const opening = letterProducer(log, deadLetterTopic, name);
    const isOpened = await within(
      clock,
      ANSWER_MS_MAX,
      opening.then(async (producer) => {
        await producer.close();
        return true;
      }),
    );
    if (!isOpened) throw new Error(`no answer within ${ANSWER_MS_MAX / 1_000} s; is there a transaction coordinator?`);
  }
}
