import { AppError } from "../../../errors.ts";
import type { Clock } from "../../../system/clock.ts";
import { Backoff } from "../../backoff.ts";
import type { FetchLimits, FetchResult, Isolation, Reader, Watermarks } from "../../port.ts";
import { AnswerMemory } from "../connection/answer-buffers.ts";
import type { Connections, Node } from "../connection/connections.ts";
import { type Leader, TopicLeaders } from "../connection/leaders.ts";
import { Alarm } from "./alarm.ts";
import { BrokerRequests } from "./broker-requests.ts";
import { listEnds } from "./partition-ends.ts";
import { PartitionNews } from "./partition-news.ts";
import {
  causeOf,
  describeError,
  ERROR_OFFSET_OUT_OF_RANGE,
  ERROR_TOPIC_AUTHORIZATION_FAILED,
  unavailable,
} from "../protocol/errors.ts";
import { type FetchAnswer, fetchExchange, type PartitionAnswer, type WantedPartition } from "../protocol/fetch.ts";
import { ANSWER_UNPACKED_BYTES_MAX, type AnswerContext, readAnswer } from "./read-answer.ts";

/** How soon metadata are asked for again while only the cluster can change them, so that asking does not spin. */
const REFRESH_BACKOFF = { backoff_ms_min: 50, backoff_ms_max: 1_000 };
/** Metadata older than this are asked for again in any case. */
const REFRESH_WAIT_MS_MAX = 30_000;
/** How late an answer may be before the metadata are checked for whether its broker still leads. */
export const PATIENCE_MS = 700;
/** How often they are checked from then on. */
export const LATE_WAIT_MS = 300;
/** A partition is reported as unavailable after its leader, by the metadata, refused it this often in a row. */
const REFUSALS_MAX = 5;
/** How long a reader still counts as throttled after a quota made it wait. */
const THROTTLED_MS = 10_000;
const NONE: ReadonlySet<number> = new Set();

/** What belongs to one instance of the connections and does not outlive them. */
interface Session {
  readonly connections: Connections;
  readonly leaders: TopicLeaders;
  readonly requests: BrokerRequests;
  /** The leader that each partition was last asked of. */
  readonly asked: Map<number, Leader>;
  readonly refusals: Map<number, number>;
}

/**
 * Reads partitions without a consumer group (Fetch, version 11). There is one outstanding request per leader, so a
 * slow broker delays only its own partitions, and a broker that fails interrupts only those.
 *
 * ```
 *  (none) ──fetch()──▶ session: metadata ─▶ a request per leader ─▶ results ─▶ …
 *     ▲                    └── no broker answers: all partitions interrupted ──┐
 *     └────────────────────────────────────────────────────────────────────────┘   … ──close()──▶ closed
 * ```
 */
export class KafkaReader implements Reader {
  #session: Session | undefined;
  readonly #news = new PartitionNews(() => this.#wake.resolve());
  #failure: Error | undefined;
  #isStale = true;
  #refreshAt_ms = Number.NEGATIVE_INFINITY;
  #topicId: string | undefined;
  #throttledAt_ms = Number.NEGATIVE_INFINITY;
  #requests = 0;
  #isClosed = false;
  #wake = Promise.withResolvers<void>();
  readonly #alarm: Alarm;
  readonly #refreshBackoff: Backoff;

  constructor(
    private readonly connect: () => Connections,
    private readonly topic: string,
    private readonly clock: Clock,
    random: () => number,
    private readonly isolation: Isolation,
  ) {
    this.#alarm = new Alarm(clock, () => this.#wake.resolve());
    this.#refreshBackoff = new Backoff(REFRESH_BACKOFF, random);
  }

  get isThrottled(): boolean {
    return this.clock.now_ms() - this.#throttledAt_ms < THROTTLED_MS;
  }

  async fetch(positions: ReadonlyMap<number, number>, limits: FetchLimits): Promise<FetchResult[]> {
    const deadline_ms = this.clock.now_ms() + limits.wait_ms_max;
    do {
      if (this.#isClosed) throw new AppError("LOG_UNAVAILABLE", "The reader was closed by this process.");
      const session = await this.#refreshedSession(positions, limits);
      this.#wake = Promise.withResolvers();
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure) throw failure;
      const results = this.#news.take(positions);
      const told = results.length === 0 ? NONE : new Set(results.map(({ partition }) => partition));
      this.#request(session, positions, told, limits);
      if (results.length > 0) return results;
      // Where no answer comes, metadata may be due again, or a quota's wait may be over.
      this.#alarm.setBy(deadline_ms);
      if (this.#isStale) this.#alarm.setBy(this.#refreshAt_ms);
      if (session.requests.isIdle) this.#alarm.setBy(this.clock.now_ms() + REFRESH_BACKOFF.backoff_ms_min);
      await this.#wake.promise;
    } while (this.clock.now_ms() < deadline_ms);
    return this.#news.take(positions);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#session?.connections.close();
    this.#alarm.cancel();
    this.#wake.resolve();
  }

  /** The session, with metadata that are recent enough. Rejects with LOG_UNAVAILABLE if no broker answers. */
  async #refreshedSession(positions: ReadonlyMap<number, number>, limits: FetchLimits): Promise<Session> {
    const connections = this.#session?.connections ?? this.connect();
    const session = (this.#session ??= {
      connections,
      leaders: new TopicLeaders(connections, this.topic, this.clock),
      requests: new BrokerRequests(),
      asked: new Map(),
      refusals: new Map(),
    });
    const now_ms = this.clock.now_ms();
    const age_ms = now_ms - session.leaders.refreshedAt_ms;
    // A stalled broker keeps its connections, while the cluster may have given its partitions to another one.
    const late_ms = now_ms - limits.wait_ms_max - PATIENCE_MS;
    const isLate = age_ms > LATE_WAIT_MS && !this.isThrottled && session.requests.isLate(late_ms);
    const isDue = this.#isStale && now_ms >= this.#refreshAt_ms;
    if (!isLate && !isDue && age_ms <= REFRESH_WAIT_MS_MAX) return session;
    try {
      await session.leaders.refresh();
    } catch (e) {
      this.#abandon(session, positions, causeOf(e));
      throw unavailable(e);
    }
    this.#isStale = false;
    this.#refreshAt_ms = this.clock.now_ms() + this.#refreshBackoff.next_ms();
    this.#noteTopic(session, positions);
    return session;
  }

  #abandon(session: Session, positions: ReadonlyMap<number, number>, why: string): void {
    session.connections.close();
    if (this.#session === session) this.#session = undefined;
    this.#isStale = true;
    this.#refreshAt_ms = Number.NEGATIVE_INFINITY;
    for (const partition of positions.keys())
      if (session.asked.has(partition)) this.#interrupt(session, partition, `The log could not be reached: ${why}`);
  }

  /** Notes whether the topic exists and is still the same one. */
  #noteTopic({ leaders, asked }: Session, positions: ReadonlyMap<number, number>): void {
    if (leaders.isGone) {
      this.#isStale = true;
      for (const partition of positions.keys()) {
        asked.delete(partition);
        this.#news.noteTopicGone(partition, `The topic ${this.topic} does not exist.`);
      }
      return;
    }
    const isAnother = this.#topicId !== undefined && leaders.topicId !== undefined && leaders.topicId !== this.#topicId;
    this.#topicId = leaders.topicId ?? this.#topicId;
    for (const partition of positions.keys()) {
      if (isAnother) {
        asked.delete(partition);
        this.#news.tell({ partition, interrupted: `The topic ${this.topic} was made anew.`, isGone: true });
      }
      this.#news.noteTopicExists(partition);
    }
  }

  /**
   * Asks every leader that has no request under way. A leader is left to the next call if something is `told` of one
   * of its partitions: a request without that partition would keep it waiting for as long as the request waits.
   */
  #request(session: Session, positions: ReadonlyMap<number, number>, told: ReadonlySet<number>, limits: FetchLimits): void {
    const { leaders, requests } = session;
    const byLeader = new Map<number, WantedPartition[]>();
    const later = new Set<number>(requests.busy());
    for (const [partition, offset] of positions) {
      const leader = leaders.leaderOf(partition);
      if (leader === undefined) {
        this.#isStale = true;
        if (!leaders.isGone) this.#hinder(session, partition, `Partition ${partition} of ${this.topic} has no leader now.`);
        continue;
      }
      const { nodeId, leaderEpoch } = leader;
      if (told.has(partition) || this.#noteLeader(session, partition, leader)) later.add(nodeId);
      if (later.has(nodeId) || !requests.hasPlaceFor(nodeId, partition, limits.only)) continue;
      const wanted = byLeader.get(nodeId);
      if (wanted) wanted.push({ partition, offset, leaderEpoch });
      else byLeader.set(nodeId, [{ partition, offset, leaderEpoch }]);
    }
    for (const [nodeId, wanted] of byLeader) {
      if (later.has(nodeId)) continue;
      // The broker fills an answer in the order asked (KIP-74). A new first partition each time lets none starve.
      wanted.push(...wanted.splice(0, this.#requests++ % wanted.length));
      requests.begin(nodeId, this.clock.now_ms(), limits.only);
      void this.#ask(session, nodeId, wanted, limits);
    }
  }

  /** True if the leader is not the one that was asked before. What was read must then be compared first. */
  #noteLeader(session: Session, partition: number, leader: Leader): boolean {
    const before = session.asked.get(partition);
    if (before === leader) return false;
    session.asked.set(partition, leader);
    if (!before || (before.nodeId === leader.nodeId && before.leaderEpoch === leader.leaderEpoch)) return false;
    const why = `Partition ${partition} has another leader: broker ${leader.nodeId}, epoch ${leader.leaderEpoch}.`;
    this.#news.interrupt(partition, session.connections.reach.withUnreachable(why));
    return true;
  }

  async #ask(session: Session, nodeId: number, wanted: readonly WantedPartition[], limits: FetchLimits): Promise<void> {
    let node: Node | undefined;
    try {
      node = await session.connections.node(nodeId);
      const held_ms = node.heldBackUntil_ms - this.clock.now_ms();
      if (held_ms > 0) await this.clock.sleep(Math.min(held_ms, limits.wait_ms_max));
      if (node.heldBackUntil_ms > this.clock.now_ms()) return;
      const answer = await node.send(fetchExchange(this.topic, wanted, limits, this.isolation), true);
      if (answer.throttle_ms > 0) {
        this.#throttledAt_ms = this.clock.now_ms() + answer.throttle_ms;
        node.heldBackUntil_ms = this.#throttledAt_ms;
      }
      if (answer.errorCode !== 0) throw new Error(describeError(answer.errorCode, "READ"));
      await this.#takeAnswers(session, node, wanted, answer);
    } catch (e) {
      this.#nodeFailed(session, node, nodeId, e);
    } finally {
      session.requests.end(nodeId);
      this.#wake.resolve();
    }
  }

  #nodeFailed(session: Session, node: Node | undefined, nodeId: number, e: unknown): void {
    if (this.#session !== session || this.#isClosed) return;
    if (e instanceof AppError) {
      this.#failure = e;
      return;
    }
    if (node) session.connections.discard(node);
    this.#isStale = true;
    const why = node ? `The connection to ${node.name} was lost: ${causeOf(e)}.` : `${sentence(causeOf(e))}.`;
    for (const [partition, leader] of session.asked) {
      if (leader.nodeId !== nodeId) continue;
      if (node) this.#interrupt(session, partition, why);
      else this.#hinder(session, partition, why);
    }
  }

  async #takeAnswers(
    session: Session,
    node: Node,
    wanted: readonly WantedPartition[],
    { partitions: answers, payload }: FetchAnswer,
  ): Promise<void> {
    const budget = { left_bytes: ANSWER_UNPACKED_BYTES_MAX };
    const memory = new AnswerMemory(payload, node.answers);
    const outOfRange: WantedPartition[] = [];
    let isFirst = true;
    for (const [n, answer] of answers.entries()) {
      // Brokers answer in the order asked.
      const next = wanted[n];
      const one = next?.partition === answer.partition ? next : wanted.find(({ partition }) => partition === answer.partition);
      const asked = session.asked.get(answer.partition);
      // Another leader may have been found in the meantime. What this one says no longer counts then.
      if (!one || this.#session !== session || asked?.nodeId !== node.nodeId || asked.leaderEpoch !== one.leaderEpoch) continue;
      if (answer.errorCode === ERROR_OFFSET_OUT_OF_RANGE) outOfRange.push(one);
      else if (answer.errorCode === ERROR_TOPIC_AUTHORIZATION_FAILED)
        throw new AppError("LOG_UNAVAILABLE", `The broker does not allow reading ${this.topic}; grant READ on it to this user.`);
      else if (answer.errorCode !== 0) this.#noteRefusal(session, answer.partition, answer.errorCode);
      else {
        this.#takeRecords(session, one, answer, { budget, memory, isFirst, asked_ms: session.requests.asked_ms(node.nodeId) });
        if (answer.bytes.length > 0) isFirst = false;
      }
    }
    memory.release();
    if (outOfRange.length > 0) await this.#takeOutOfRange(session, node, outOfRange);
  }

  #takeRecords(session: Session, wanted: WantedPartition, answer: PartitionAnswer, context: Omit<AnswerContext, "isOwed">): void {
    const { partition } = wanted;
    session.refusals.delete(partition);
    this.#refreshBackoff.reset();
    const isOwed = this.#news.takeOwed(partition);
    const result = readAnswer(wanted, answer, { ...context, isOwed });
    if (result) this.#news.tell(result);
  }

  #noteRefusal(session: Session, partition: number, errorCode: number): void {
    this.#isStale = true;
    const refusals = (session.refusals.get(partition) ?? 0) + 1;
    session.refusals.set(partition, refusals);
    if (refusals >= REFUSALS_MAX)
      this.#hinder(session, partition, `Partition ${partition} cannot be read: ${describeError(errorCode, "READ")}.`);
  }

  /** Asks for the range, which the refusal does not give. A partition that is in range after all is fetched again. */
  async #takeOutOfRange(session: Session, node: Node, wanted: readonly WantedPartition[]): Promise<void> {
    const [asked_ms, ends] = [this.clock.now_ms(), await listEnds(node, this.topic, wanted)];
    for (const { partition, offset, leaderEpoch } of wanted) {
      const watermarks = ends.get(partition);
      if (watermarks === undefined || "errorCode" in watermarks) {
        this.#noteRefusal(session, partition, watermarks?.errorCode ?? -1);
      } else if (offset < watermarks.startOffset || offset > watermarks.endOffset) {
        const { startOffset, endOffset } = watermarks;
        this.#news.takeOwed(partition);
        this.#news.tell({ partition, outOfRange: { startOffset, endOffset } satisfies Watermarks });
      } else if (this.#news.takeOwed(partition)) {
        const { endOffset, stableOffset } = watermarks;
        const nothing = { baseOffset: offset, nextOffset: offset, endOffset, stableOffset, asked_ms, records: [] };
        this.#news.tell({ partition, batch: { partition, ...nothing, leaderEpoch: Math.max(0, leaderEpoch) } });
      }
    }
  }

  #hinder({ connections }: Session, partition: number, why: string): void {
    this.#news.hinder(partition, connections.reach.withUnreachable(why));
  }

  #interrupt(session: Session, partition: number, why: string): void {
    session.asked.delete(partition);
    this.#news.interrupt(partition, why);
  }
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
