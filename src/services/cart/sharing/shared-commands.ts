import { AppError, type ErrorCode, isAppError } from "../../../errors.ts";
import { type Fleet, FRESH_WAIT_MS_MAX } from "../../../fleet/fleet.ts";
import type { Peer } from "../../../fleet/members.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { Change } from "../../../orders/events/kinds.ts";
import type { Clock } from "../../../system/clock.ts";
import type { CartCommands, CreateOrder, RequestContext } from "../commands/commands.ts";
import { carryOut, type CommandMessage, commandRequest, orderIdIn, readPosition } from "./command-message.ts";
import { requireSameRequest } from "../commands/first-event.ts";
import type { KeyedEvent } from "../index/index-projection.ts";
import { unreachable } from "./elsewhere.ts";
import { elsewhereIn, type Holders } from "./holders.ts";
import { shareOf } from "./share-of.ts";

export interface SharedCommandsOptions {
  /** This cart's own commands, on the indexes that it holds. */
  readonly here: CartCommands;
  readonly holders: Holders;
  readonly fleet: Fleet;
  /** The partitions in which carts create the order; undefined while that is not known. */
  readonly homes: (orderId: string) => readonly number[] | undefined;
  /** The event that this cart's own indexes have under an idempotency key; see `OrderIndex.findKeyed`. */
  readonly keyed: (key: string, orderId: string) => KeyedEvent | undefined;
  /** By how many partitions this cart places creates; undefined while it does not. */
  readonly placedBy: () => number | undefined;
  readonly append_wait_ms_max: number;
  readonly clock: Clock;
}

/** How often a command is sent to another place, as it turns out not to be where it was thought. */
const PLACES_MAX = 6;

/** Why a holder did not carry the command out, as far as is known. */
interface NotThere {
  /** Where the command belongs, if the holder said so. */
  readonly partition: number | undefined;
  readonly why: string;
  /** Whether it may have appended the event all the same; only of a command under an idempotency key. */
  readonly maybeAppended?: boolean;
  /** What hinders another one of the partition's holders, which is told if nobody else is found. */
  readonly hindrance?: AppError | undefined;
}

/**
 * The commands of a cart that holds some partitions' indexes and shares the others with its peers. A command is carried
 * out where the index of the order's partition is: here, or by one hop. A holder does not pass it on; it says where the
 * command belongs. What safety needs is decided there, and by the log (I8).
 *
 * ```
 *  command ─▶ is the index of its partition here? ─yes─▶ carried out ──▶ answer
 *               │  ▲                                        └─ it belongs elsewhere ─┐
 *               │  └───────────── the place is corrected ◀──────────────────────────┤
 *               └─no─▶ hop to a holder ──▶ answer, also an error                     │
 *                        ├─ it belongs elsewhere ────────────────────────────────────┘
 *                        ├─ it was not sent, or it is hindered ─▶ the next holder, or a newer assignment
 *                        └─ no answer ─▶ unknown; under an idempotency key, the next holder
 * ```
 */
export class SharedCommands implements CartCommands {
  constructor(private readonly options: SharedCommandsOptions) {}

  create(create: CreateOrder, context: RequestContext): Promise<LogPosition> {
    return this.#run(create.orderId, context, () => ({ create }));
  }

  change(orderId: string, change: Change, context: RequestContext): Promise<LogPosition> {
    return this.#run(orderId, context, () => ({ orderId, change }));
  }

  #run(
    orderId: string,
    context: RequestContext,
    command: () => { readonly create: CreateOrder } | { readonly orderId: string; readonly change: Change },
  ): Promise<LogPosition> {
    const { here, holders, homes, placedBy, clock, append_wait_ms_max } = this.options;
    const home = homes(orderId)?.at(-1);
    const deadline_ms = clock.now_ms() + append_wait_ms_max;
    const message = (): CommandMessage => {
      const { idempotency, traceparent, tracestate } = context;
      return {
        ...command(),
        ...(idempotency && { idempotency }),
        ...(traceparent !== undefined && { traceparent }),
        ...(tracestate !== undefined && { tracestate }),
        placedBy: placedBy(),
      };
    };
    if (home !== undefined && holders.isElsewhere(home)) return this.#route(message(), home, context, deadline_ms);
    return carryOut(here, command(), context).catch((e: unknown) => {
      const partition = elsewhereIn(e);
      if (partition === undefined) throw e;
      return this.#route(message(), partition, context, deadline_ms);
    });
  }

  /** Carries the command out where the index of that partition is. */
  async #route(message: CommandMessage, at: number, context: RequestContext, deadline_ms: number): Promise<LogPosition> {
    const { holders, fleet, clock } = this.options;
    this.#requireUnused(message);
    let partition = at;
    let why: string | undefined;
    let maybeAppended = false;
    let hindrance: AppError | undefined;
    for (let places = 0; places < PLACES_MAX && clock.now_ms() < deadline_ms; places++) {
      const { version } = fleet.members;
      let told: LogPosition | NotThere;
      try {
        told = holders.isElsewhere(partition)
          ? await this.#ask(message, partition, context, deadline_ms)
          : await this.#here(message, context, deadline_ms);
      } catch (e) {
        throw maybeAppended ? afterUnknown(message, e) : e;
      }
      if ("offset" in told) return told;
      ({ why, hindrance } = told);
      maybeAppended ||= told.maybeAppended === true;
      if (told.partition !== undefined && told.partition !== partition) {
        partition = told.partition;
        hindrance = undefined;
      } else if (!(await fleet.members.newerThan(version, Math.min(FRESH_WAIT_MS_MAX, deadline_ms - clock.now_ms())))) break;
    }
    throw maybeAppended ? unknown(orderIdIn(message), why ?? "") : (hindrance ?? unreachable(partition, why));
  }

  /** Whoever has the order's index may not have read yet that the key was used for another order. */
  #requireUnused(message: CommandMessage): void {
    const { idempotency } = message;
    const orderId = orderIdIn(message);
    const known = idempotency && this.options.keyed(idempotency.key, orderId);
    if (known && known.orderId !== orderId) requireSameRequest(known, idempotency.fingerprint);
  }

  async #here(message: CommandMessage, context: RequestContext, deadline_ms: number): Promise<LogPosition | NotThere> {
    const { here, clock } = this.options;
    try {
      return await carryOut(here, message, { ...context, wait_ms_max: deadline_ms - clock.now_ms() });
    } catch (e) {
      const partition = elsewhereIn(e);
      if (partition === undefined) throw e;
      return { partition, why: (e as AppError).message };
    }
  }

  /**
   * Asks those who hold the partition's index, one after the other, until one of them answers. What keeps one of them from
   * it may be its own, such as a full disk or a store that is damaged; nothing was appended then.
   */
  async #ask(
    message: CommandMessage,
    partition: number,
    context: RequestContext,
    deadline_ms: number,
  ): Promise<LogPosition | NotThere> {
    let notThere: NotThere = { partition: undefined, why: "No cart holds it now." };
    let maybeAppended = false;
    let hindrance: AppError | undefined;
    const peers = this.options.holders.peersOf(partition);
    for (const [n, peer] of peers.entries()) {
      // What the first one may have done, the next one finds under the key alone, so only then is time kept for it.
      const others = message.idempotency === undefined ? 0 : peers.length - 1 - n;
      const until_ms = shareOf(deadline_ms, others, this.options.clock);
      let told: LogPosition | NotThere;
      try {
        told = await this.#askOne(peer, message, context, until_ms);
      } catch (e) {
        if (maybeAppended) throw afterUnknown(message, e);
        if (!isAppError(e) || !isHindrance(e, message)) throw e;
        hindrance ??= e;
        continue;
      }
      if ("offset" in told) return told;
      notThere = told;
      maybeAppended ||= told.maybeAppended === true;
      if (told.partition !== undefined && told.partition !== partition) break;
    }
    if (hindrance !== undefined && notThere.partition === undefined && !maybeAppended) throw hindrance;
    return { ...notThere, maybeAppended, hindrance };
  }

  async #askOne(
    peer: Peer,
    message: CommandMessage,
    { span }: RequestContext,
    deadline_ms: number,
  ): Promise<LogPosition | NotThere> {
    const { fleet, clock } = this.options;
    const answer = await fleet.send(peer, commandRequest(message, span), deadline_ms - clock.now_ms());
    if ("failure" in answer) {
      const { failure, detail, maybeSent } = answer;
      if (failure === "full") throw new AppError("OVERLOADED", `${detail} Try again soon.`);
      // An event counts once per order under one key, so whoever is asked next finds what this one may have appended.
      if (maybeSent && message.idempotency === undefined) throw unknown(orderIdIn(message), detail);
      return { partition: undefined, why: detail, maybeAppended: maybeSent };
    }
    try {
      return readPosition(answer);
    } catch (e) {
      const why = `${peer.url}: ${(e as Error).message}`;
      if (isAppError(e, "PARTITION_ELSEWHERE") || isAppError(e, "SHUTTING_DOWN")) return { partition: elsewhereIn(e), why };
      if (isAppError(e) && e.code !== "INTERNAL") throw e;
      throw unknown(orderIdIn(message), why);
    }
  }
}

/** What may be a holder's own, as its index cannot tell what is to be known before anything is appended. */
const HINDRANCES: ReadonlySet<ErrorCode> = new Set(["PARTITION_HALTED", "PARTITION_BLOCKED", "CATCHING_UP"]);

/**
 * A holder that has too much to do is passed over under an idempotency key alone. Without one, its answer says that nothing
 * was appended, which nobody would know any more once the next holder does not answer.
 */
const isHindrance = ({ code }: AppError, { idempotency }: CommandMessage): boolean =>
  HINDRANCES.has(code) || (code === "OVERLOADED" && idempotency !== undefined);

/** What holds whatever another holder has done, or is still to do, of the same command. */
const DECISIVE: ReadonlySet<ErrorCode> = new Set(["ORDER_EXISTS", "IDEMPOTENCY_KEY_REUSED"]);

/** That a holder refuses the command says nothing about what one before it has done, or does once it wakes up. */
const afterUnknown = (message: CommandMessage, e: unknown): unknown =>
  isAppError(e) && !DECISIVE.has(e.code) ? unknown(orderIdIn(message), e.message) : e;

const unknown = (orderId: string, detail: string): AppError =>
  new AppError(
    "APPEND_OUTCOME_UNKNOWN",
    `Another cart was to append the event of ${orderId}, and it is not known whether it did. ${detail} Try again with the same Idempotency-Key; without one, look before you retry.`,
  );
