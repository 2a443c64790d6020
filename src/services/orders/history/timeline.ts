import { AppError } from "../../../errors.ts";
import type { LogRecord } from "../../../log/port.ts";
import { REDRIVE_HEADERS, REPLAY_HEADERS } from "../../../log/record-headers.ts";
import { timeText } from "../../../log/timestamp.ts";
import { decodeEvent } from "../../../orders/events/decode.ts";
import { kindOf } from "../../../orders/events/kinds.ts";
import { isPoison } from "../../../orders/events/poison.ts";
import { evolve, initialState, type OrderState } from "../../../orders/fold.ts";
import { factsOf, type Outcome } from "../../../orders/outcomes.ts";
import type { OrderRowPlace } from "../query/known-order.ts";
import type { LogScan, Scans } from "../query/log-scan.ts";
import { HeaderTexts } from "./header-texts.ts";
import { eventIdHash, formatCursor, TIMELINE_EVENTS_MAX, type TimelineCursor } from "./timeline-cursor.ts";

/**
 * What became of an event in its order, or `poison` for a record that has the order's key but is not an event.
 * `held-overflow` and `poison` are dead letters.
 */
export type TimelineOutcome = Outcome | "poison";

export interface TimelineEvent {
  readonly partition: number;
  readonly offset: number;
  /**
   * When the record was written, according to its producer: RFC 3339, or the timestamp's own digits if it is not such
   * a date.
   */
  readonly time: string;
  readonly outcome: TimelineOutcome;
  readonly eventId?: string;
  readonly type?: string;
  /** The members that the event's kind adds to an answer. */
  readonly shown?: Readonly<Record<string, unknown>>;
  /** Only for a held update: whether its create has not come yet. */
  readonly isWaiting?: boolean;
  /** Only for a create: how many held updates it applied. */
  readonly heldApplied?: number;
  /** Only for a dead letter: the code that says why it is one; `detail` says it in a sentence. */
  readonly reason?: string;
  readonly detail?: string;
  /** The replay that wrote the record. */
  readonly replayId?: string;
  /** How often the record has been redriven from the dead-letter topic. */
  readonly redrives?: number;
}

export interface TimelinePage {
  readonly partition: number;
  readonly events: readonly TimelineEvent[];
  /**
   * The range of offsets read for this page. `startOffset` and `endOffset` bound all there is to read: everything that
   * the partition's actor has applied.
   */
  readonly scannedFrom: number;
  readonly scannedTo: number;
  readonly startOffset: number;
  readonly endOffset: number;
  /** The cursor of the next page; undefined on the last one. */
  readonly next: string | undefined;
  /** Whether the timeline ends early because the order has more events than can be told apart. */
  readonly isCut: boolean;
}

/** Where an order's events are, and whether that is still so. */
export interface TimelinePlaces {
  /** The partitions that have a row of the order. */
  readonly places: readonly OrderRowPlace[];
  /** Why what a partition that is held here has applied may not be what the log has; undefined if nothing is known. */
  readonly doubtOf: (partition: number) => string | undefined;
}

/**
 * One order's events in log order, each with its outcome: it reads through the order's partitions and folds the events
 * with its key, as the actor does. Nothing is stored for it; see docs/decisions/0013-the-page.md.
 *
 * The log is read here, whoever holds the partitions. Rejects with PARTITION_ELSEWHERE if the cursor's partition is not
 * one of the places, or with LOG_UNAVAILABLE or OVERLOADED.
 */
export async function timelinePage(
  scans: Scans,
  topic: string,
  orderId: string,
  { places, doubtOf }: TimelinePlaces,
  cursor: TimelineCursor | undefined,
  limit: number,
): Promise<TimelinePage> {
  const index = cursor === undefined ? 0 : places.findIndex(({ partition }) => partition === cursor.partition);
  const place = places[index];
  if (!place)
    throw new AppError(
      "PARTITION_ELSEWHERE",
      `Partition ${cursor?.partition} has nothing of ${orderId}, or it is not known who holds it now.`,
    );
  const { partition, endOffset, isCreated } = place;
  return scans.run(topic, async (scan) => {
    const { startOffset } = await scans.endsOf(topic, partition);
    const from = Math.max(startOffset, cursor?.offset ?? 0);
    const fold = new TimelineFold(orderId, partition, limit, cursor, !isCreated);
    const to = await readFor(scan, fold, partition, from, endOffset, topic);
    const doubt = doubtOf(partition);
    if (doubt !== undefined) throw new AppError("LOG_UNAVAILABLE", `${doubt} Ask again.`);
    const following = to < endOffset ? partition : places[index + 1]?.partition;
    const isCut = following !== undefined && fold.counted.size > TIMELINE_EVENTS_MAX;
    const isSame = following === partition;
    const next: TimelineCursor | undefined =
      following === undefined || isCut
        ? undefined
        : {
            partition: following,
            offset: isSame ? to : 0,
            state: isSame ? fold.state : initialState,
            counted: isSame ? fold.counted : new Set(),
          };
    return {
      partition,
      events: fold.events,
      scannedFrom: from,
      scannedTo: to,
      startOffset,
      endOffset,
      next: next && formatCursor(next),
      isCut,
    };
  });
}

async function readFor(
  scan: LogScan,
  fold: TimelineFold,
  partition: number,
  from: number,
  end: number,
  topic: string,
): Promise<number> {
  const to = await scan.read(partition, from, end, (record) => fold.visit(record));
  if (to === from && from < end && !scan.isOver)
    throw new AppError("LOG_UNAVAILABLE", `${topic}-${partition} gives nothing at offset ${from} now; ask again.`);
  return to;
}

class TimelineFold {
  readonly events: TimelineEvent[] = [];
  readonly counted: Set<number>;
  state: OrderState;
  readonly #key: Buffer;
  readonly #lastByte: number;

  constructor(
    orderId: string,
    private readonly partition: number,
    private readonly limit: number,
    cursor: TimelineCursor | undefined,
    private readonly isWaiting: boolean,
  ) {
    this.#key = Buffer.from(orderId);
    this.#lastByte = this.#key[this.#key.length - 1] ?? 0;
    this.state = cursor?.state ?? initialState;
    this.counted = new Set(cursor?.counted);
  }

  /**
   * Returns false once the page is full. Almost every record is another order's, so keys are compared before anything
   * is decoded.
   */
  visit(record: LogRecord): boolean {
    const { key } = record;
    const { length } = this.#key;
    if (key?.length !== length || key[length - 1] !== this.#lastByte || !key.equals(this.#key)) return true;
    this.events.push(this.#fold(record));
    return this.events.length < this.limit && this.counted.size <= TIMELINE_EVENTS_MAX;
  }

  #fold(record: LogRecord): TimelineEvent {
    const { offset, timestamp_ms, key, value } = record;
    const headers = new HeaderTexts(record);
    const replayId = headers.text(REPLAY_HEADERS.id);
    const redrives = headers.count(REDRIVE_HEADERS.count);
    const common = {
      partition: this.partition,
      offset,
      time: timeText(timestamp_ms),
      ...(replayId === undefined ? {} : { replayId }),
      ...(redrives === undefined ? {} : { redrives }),
    };
    const event = decodeEvent(key, value);
    if (isPoison(event)) return { ...common, outcome: "poison", reason: event.poison, detail: event.detail };
    const { eventId, type, orderId } = event;
    const hash = eventIdHash(eventId);
    const { state, outcome, heldApplied } = evolve(this.state, event, () => this.counted.has(hash));
    const { isKept, deadLetter } = factsOf(outcome);
    if (isKept) this.counted.add(hash);
    // The ids are kept as hashes even within a page, so that pages of any size give the same outcomes.
    this.state = { ...state, eventIds: initialState.eventIds };
    return {
      ...common,
      outcome,
      eventId,
      type,
      shown: kindOf(event).show(event),
      ...(outcome === "held" ? { isWaiting: this.isWaiting } : {}),
      ...(heldApplied === undefined ? {} : { heldApplied }),
      ...(deadLetter && { reason: deadLetter.code, detail: deadLetter.detail(orderId) }),
    };
  }
}
