import type { Clock } from "../../../system/clock.ts";
import { AppError } from "../../../errors.ts";
import type { Appender } from "../../../log/append/appender.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { NewRecord } from "../../../log/port.ts";
import { EVENT_HEADERS } from "../../../log/record-headers.ts";
import { encodeEvent } from "../../../orders/events/encode.ts";
import type { Change, OrderEvent } from "../../../orders/events/kinds.ts";
import type { NewUuid, Random } from "../../../system/random.ts";
import type { SendingSpan } from "../../../telemetry/tracer.ts";
import { createdOrder } from "./created-order.ts";
import type { CartCommands, CreateOrder, RequestContext } from "./commands.ts";
import { eventHeaders, newTraceparent } from "./event-headers.ts";
import { firstOr409, orderExists, readAppended, requireSameRequest, throwUnread } from "./first-event.ts";
import { eventIdOfKey, type IndexedOrder, type KeyedEvent } from "../index/index-projection.ts";
import type { IndexProgress } from "../index/index-progress.ts";
import type { Landing, OrderIndex } from "../index/order-index.ts";
import type { OwnCreates } from "../index/own-creates.ts";
import type { Placement } from "../placement/placement.ts";
import type { Elsewhere } from "../sharing/elsewhere.ts";
import { indexElsewhere } from "../sharing/holders.ts";
import type { FoundInIndex, IndexQuestion } from "../sharing/index-question.ts";

export interface CartCommandsOptions {
  readonly index: OrderIndex;
  readonly progress: IndexProgress;
  readonly ownCreates: OwnCreates;
  readonly appender: Appender;
  readonly placement: Placement;
  /** The indexes that other carts hold. */
  readonly elsewhere: Elsewhere;
  readonly append_wait_ms_max: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly newUuid: NewUuid;
}

const SOURCE = "/cart-service";

type Idempotency = NonNullable<RequestContext["idempotency"]>;

interface Sending {
  readonly record: NewRecord & { readonly value: string };
  readonly send: SendingSpan | undefined;
}

/**
 * The cart's commands, on the log and the index. A create is appended first; only then does the cart ask whether its
 * event is the order's first create, so the log decides between any number of carts (I8). A request with an
 * idempotency key always reads its event back, so the log also decides between requests under one key (decision 18).
 *
 * What this cart's index does not have, other carts are asked for. A command that needs the index of another cart's
 * partition is rejected with PARTITION_ELSEWHERE, and is to be carried out there; nothing was appended then.
 *
 * ```
 *  create ─▶ known? ─yes─▶ 409
 *             └─no─▶ place ─▶ does the index follow the partition? ─▶ append ─▶ first create up to its own offset?
 *                                                                              ├─ its own event ─▶ 200
 *                                                                              └─ another event ─▶ 409
 *  change ─▶ known? ─no─▶ read its partition to the log's end ─▶ known? ─no─▶ 404
 *             └─yes───────────────────────────────────────────────┴──yes─▶ append where the order was created ─▶ 200
 *  under a key ─▶ is an event of the key known? ─yes─▶ the same request: its answer; another request: 422
 *                  └─no─▶ as above ─▶ the order's first event of the key up to its own offset?
 *                                     ├─ its own, or the same request's ─▶ its answer
 *                                     └─ another request's ─▶ 422
 * ```
 */
export class LogCartCommands implements CartCommands {
  readonly #keysInUse = new Set<string>();
  #timestamp_ms = Number.NaN;
  #timestampText = "";

  constructor(private readonly options: CartCommandsOptions) {}

  create(command: CreateOrder, context: RequestContext): Promise<LogPosition> {
    const { index, progress, placement, elsewhere } = this.options;
    const { orderId } = command;
    const answerEarlier = (_: LogPosition, eventId: string) => firstOr409(orderId, eventId, index.find(orderId));
    return this.#runOnce(orderId, context, answerEarlier, async (eventId, deadline_ms) => {
      let askedBy: number | undefined;
      for (let partition: number | undefined; ;) {
        const { isAllHere } = progress;
        if (!isAllHere && !progress.isComplete) await progress.untilComplete(deadline_ms);
        // I8: nothing is awaited from this look-up to `begin`, or a create that is read in between would be overlooked.
        if (index.find(orderId)) {
          const existing = await this.#findSound(orderId, deadline_ms);
          if (existing) return this.#answerExisting(orderId, existing, eventId, context);
          continue;
        }
        // What carts placed by another partition count may be anywhere.
        if (!isAllHere && askedBy !== placement.settledCount) {
          askedBy = placement.settledCount;
          const others = elsewhere.mayHave(orderId);
          if (others.length > 0) {
            const { order } = await elsewhere.find({ orderId, eventId: undefined, toEnd: [] }, others, deadline_ms);
            if (order) throw context.idempotency ? indexElsewhere(order.partition) : orderExists(orderId);
            continue;
          }
        }
        partition ??= this.#placeNow(orderId);
        if (partition !== undefined) {
          const event = this.#makeCreate(command, eventId);
          if (context.idempotency) return this.#appendKeyedCreate(partition, event, context, deadline_ms);
          return this.#appendCreate(partition, event, context, deadline_ms);
        }
        partition = await placement.placeInTime(orderId, deadline_ms);
        if (elsewhere.isElsewhere(partition)) throw indexElsewhere(partition);
        await progress.untilCurrent(partition, deadline_ms);
      }
    });
  }

  /** Another request may have created the order since this one's key was looked for, under the same key or not. */
  #answerExisting(orderId: string, existing: IndexedOrder, eventId: string, { idempotency }: RequestContext): LogPosition {
    const keyed = idempotency && existing.eventId === eventId ? this.options.index.findKeyed(eventId, orderId) : undefined;
    if (keyed?.orderId === orderId) requireSameRequest(keyed, idempotency?.fingerprint);
    return firstOr409(orderId, eventId, existing);
  }

  /** The partition for the order's create; undefined if the create has to wait for the count or for the index. */
  #placeNow(orderId: string): number | undefined {
    const { placement, progress } = this.options;
    const partition = placement.place(orderId);
    return partition !== undefined && progress.isCurrent(partition) ? partition : undefined;
  }

  async #appendCreate(partition: number, event: OrderEvent, context: RequestContext, deadline_ms: number): Promise<LogPosition> {
    const { index, ownCreates } = this.options;
    const { orderId, eventId } = event;
    const { record, send } = this.#makeRecord(partition, event, context);
    const own = ownCreates.begin(orderId, eventId, record.value);
    try {
      const landing = await this.#append(record, send, deadline_ms);
      const first = readAppended(orderId, () => index.firstKnown(own, landing));
      if (first) return firstOr409(orderId, eventId, first);
      const { order } = await this.#readBack(landing, { orderId, eventId: undefined }, deadline_ms);
      return firstOr409(orderId, eventId, order ?? throwUnread(orderId));
    } finally {
      if (own) ownCreates.end(own);
    }
  }

  /** Always reads the event back, because another cart may have appended another event under the same key. */
  async #appendKeyedCreate(
    partition: number,
    event: OrderEvent,
    context: RequestContext,
    deadline_ms: number,
  ): Promise<LogPosition> {
    const { order } = await this.#appendKeyed(partition, event, context, deadline_ms);
    return firstOr409(event.orderId, event.eventId, order ?? throwUnread(event.orderId));
  }

  change(orderId: string, change: Change, context: RequestContext): Promise<LogPosition> {
    const answerEarlier = ({ partition, offset }: LogPosition) => ({ partition, offset });
    return this.#runOnce(orderId, context, answerEarlier, async (eventId, deadline_ms) => {
      const { index, progress, placement } = this.options;
      const left = index.find(orderId)
        ? []
        : await progress.untilEnd(placement.homes(orderId), (partition) => index.knownEnd(partition), deadline_ms);
      const order = (await this.#findSound(orderId, deadline_ms)) ?? (await this.#findElsewhere(orderId, left, deadline_ms));
      if (!order) throw new AppError("ORDER_NOT_FOUND", `There is no order ${orderId}; create it first.`, { orderId });
      const { partition } = order;
      const event: OrderEvent = { ...change, eventId, timestamp: this.#timestamp(), orderId };
      if (context.idempotency) {
        const { keyed } = await this.#appendKeyed(partition, event, context, deadline_ms);
        return answerEarlier(keyed);
      }
      const { record, send } = this.#makeRecord(partition, event, context);
      const landing = await this.#append(record, send, deadline_ms);
      index.noteOwn(landing);
      return landing;
    });
  }

  /**
   * Runs `work` under an event id: a new one, or the one that the idempotency key always gives. If any cart has
   * already appended an event for the key, its answer is given again and `work` does not run
   * (draft-ietf-httpapi-idempotency-key-header-07).
   */
  #runOnce(
    orderId: string,
    { idempotency, wait_ms_max = Number.POSITIVE_INFINITY }: RequestContext,
    answerEarlier: (position: LogPosition, eventId: string) => LogPosition,
    work: (eventId: string, deadline_ms: number) => Promise<LogPosition>,
  ): Promise<LogPosition> {
    const { clock, newUuid, append_wait_ms_max } = this.options;
    const deadline_ms = clock.now_ms() + Math.min(append_wait_ms_max, wait_ms_max);
    if (!idempotency) return work(newUuid(), deadline_ms);
    return this.#runOnceForKey(orderId, idempotency, deadline_ms, answerEarlier, work);
  }

  async #runOnceForKey(
    orderId: string,
    { key, fingerprint }: Idempotency,
    deadline_ms: number,
    answerEarlier: (position: LogPosition, eventId: string) => LogPosition,
    work: (eventId: string, deadline_ms: number) => Promise<LogPosition>,
  ): Promise<LogPosition> {
    const { index, progress, placement, elsewhere } = this.options;
    if (this.#keysInUse.has(key)) {
      throw new AppError(
        "IDEMPOTENCY_KEY_IN_USE",
        "Another request with this Idempotency-Key is being processed; wait for its answer, then try again.",
      );
    }
    this.#keysInUse.add(key);
    try {
      const eventId = eventIdOfKey(key);
      // All events of an order are in the partition where it was created.
      const found = progress.isComplete ? index.find(orderId) : undefined;
      const homes = found ? [found.partition] : placement.homes(orderId);
      const left = await progress.untilEnd(homes, (partition) => index.readEnd(partition), deadline_ms);
      let earlier = index.findKeyed(eventId, orderId);
      const others = earlier?.orderId === orderId ? [] : elsewhere.all(left);
      if (others.length > 0) {
        const told = await elsewhere.find({ orderId, eventId, toEnd: homes ?? others }, others, deadline_ms);
        if (told.keyed?.orderId === orderId) throw indexElsewhere(told.keyed.partition);
        if (told.order && !index.find(orderId)) throw indexElsewhere(told.order.partition);
        const other = earlier ?? told.keyed;
        if (other) requireSameRequest(other, fingerprint);
        earlier = undefined;
      }
      if (!earlier) return await work(eventId, deadline_ms);
      await progress.untilSound(earlier.partition, deadline_ms);
      return answerEarlier(requireSameRequest(earlier, fingerprint), eventId);
    } finally {
      this.#keysInUse.delete(key);
    }
  }

  /**
   * Appends the event of a keyed request and reads the log back up to it. Only the first of an order's events under
   * one key counts. Rejects if that first event belongs to another request.
   */
  async #appendKeyed(
    partition: number,
    event: OrderEvent,
    context: RequestContext,
    deadline_ms: number,
  ): Promise<{ readonly order: IndexedOrder | undefined; readonly keyed: KeyedEvent }> {
    const { record, send } = this.#makeRecord(partition, event, context);
    const landing = await this.#append(record, send, deadline_ms);
    const { order, keyed } = await this.#readBack(landing, event, deadline_ms);
    return { order, keyed: requireSameRequest(keyed ?? throwUnread(event.orderId), context.idempotency?.fingerprint) };
  }

  /** What the log decided about the event, from the index or, where that has moved away since, from its holder. */
  async #readBack(
    landing: Landing,
    { orderId, eventId }: Omit<IndexQuestion, "toEnd">,
    deadline_ms: number,
  ): Promise<FoundInIndex> {
    const { index, progress, elsewhere } = this.options;
    const { partition } = landing;
    if (await progress.hasPassed(landing, deadline_ms))
      return readAppended(orderId, () => {
        const { keyed } = eventId === undefined ? {} : index.lookUp(partition, orderId, eventId);
        return { order: index.find(orderId), keyed };
      });
    if (!elsewhere.isElsewhere(partition)) throwUnread(orderId);
    return elsewhere.find({ orderId, eventId, toEnd: [partition] }, [partition], deadline_ms).catch(() => throwUnread(orderId));
  }

  /** Resolves with the order, if there is one, once the index is sound for its partition. */
  async #findSound(orderId: string, deadline_ms: number): Promise<IndexedOrder | undefined> {
    const { index, progress } = this.options;
    for (;;) {
      const order = index.find(orderId);
      if (!order || progress.isSound(order.partition)) return order;
      await progress.untilSound(order.partition, deadline_ms);
    }
  }

  /**
   * Rejects with PARTITION_ELSEWHERE if the order's create is in the index of another cart. The partitions that were `left`
   * to others are asked of them, also if they are this cart's again.
   */
  async #findElsewhere(orderId: string, left: readonly number[], deadline_ms: number): Promise<undefined> {
    const { placement, elsewhere } = this.options;
    const homes = placement.homes(orderId);
    const others = elsewhere.all(left).filter((partition) => homes?.includes(partition) !== false);
    const asked = new Set([...others, ...elsewhere.mayHave(orderId, left)]);
    if (asked.size === 0) return undefined;
    const { order } = await elsewhere.find({ orderId, eventId: undefined, toEnd: others }, [...asked], deadline_ms);
    if (order) throw indexElsewhere(order.partition);
    return undefined;
  }

  async #append(record: NewRecord, send: SendingSpan | undefined, deadline_ms: number): Promise<Landing> {
    const { appender, index } = this.options;
    const { partition } = record;
    const knownEnd = index.knownEnd(partition);
    const appended = appender.append(record, deadline_ms);
    if (send) appended.then(({ offset }) => send.sent(offset), send.failed);
    const { offset, leaderEpoch } = await appended;
    const landing = { partition, offset, leaderEpoch };
    index.requireNotBefore(landing, knownEnd);
    return landing;
  }

  #makeRecord(partition: number, event: OrderEvent, context: RequestContext): Sending {
    const { clock } = this.options;
    const { orderId, eventId } = event;
    const send = context.span?.sending({ partition, key: orderId, eventId });
    const traceparent = send?.traceparent ?? context.traceparent ?? newTraceparent(eventId);
    const headers: [string, string][] = eventHeaders(event, SOURCE, traceparent);
    const tracestate = send ? send.tracestate : context.tracestate;
    if (tracestate) headers.push([EVENT_HEADERS.tracestate, tracestate]);
    if (context.idempotency) headers.push([EVENT_HEADERS.fingerprint, context.idempotency.fingerprint]);
    const value = encodeEvent(event);
    return { send, record: { partition, key: orderId, value, headers, timestamp_ms: clock.wall_ms() } };
  }

  #makeCreate(command: CreateOrder, eventId: string): OrderEvent {
    const timestamp = this.#timestamp();
    const order = createdOrder(command, timestamp, this.options.random);
    return { type: "ORDER_CREATED", eventId, timestamp, orderId: command.orderId, order };
  }

  /** Formatted at most once a millisecond, which many creates share. */
  #timestamp(): string {
    const wall_ms = this.options.clock.wall_ms();
    if (wall_ms !== this.#timestamp_ms) {
      this.#timestamp_ms = wall_ms;
      this.#timestampText = new Date(wall_ms).toISOString();
    }
    return this.#timestampText;
  }
}
