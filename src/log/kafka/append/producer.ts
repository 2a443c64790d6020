import type { Clock } from "../../../system/clock.ts";
import { AppError } from "../../../errors.ts";
import type { Random } from "../../../system/random.ts";
import { Backoff, type BackoffLimits } from "../../backoff.ts";
import type { IdempotentProducer, NewRecord, SendOutcome } from "../../port.ts";
import type { Connections, Node } from "../connection/connections.ts";
import { BatchOutput, encodeBatch } from "../records/encode-batch.ts";
import { LeaderWatch } from "../connection/leader-watch.ts";
import { TopicLeaders } from "../connection/leaders.ts";
import { causeOf, describeError, kafkaErrorType, protocolError } from "../protocol/errors.ts";
import { type PartitionAppended, produceExchange } from "../protocol/produce.ts";
import { requireTimestamps } from "../../timestamp.ts";
import { type Part, partsOf, SendCall } from "./send-call.ts";
import { advance, newProducerId, Sequences } from "./sequences.ts";

/** What belongs to one topic on one instance of the connections. */
interface Session {
  readonly connections: Connections;
  readonly leaders: TopicLeaders;
}

/**
 * The bound until more is known of a topic: Kafka's default for max.message.bytes, less the little that it counts
 * itself.
 */
export const BATCH_BYTES_MAX = 1_048_576;
/** Refusals halve the size of batches down to this; smaller ones cost more than they save. */
const BATCH_BYTES_MIN = 1_024;
const METADATA_AGE_MS_MAX = 30_000;
/** The deadline if the caller sets none. */
export const SEND_MS_MAX = 15_000;
/** The waits between attempts, within the deadline. They are short because a partition's new leader is soon found. */
const RETRY_WAIT = { backoff_ms_min: 30, backoff_ms_max: 500 };
/** A part takes this many new producer ids at most. If they are refused as well, more will not help. */
const NEW_IDS_MAX = 3;

/**
 * The idempotent producer (KIP-98) on kafkajs' connections. When a send is given up, kafkajs' own producer rolls its
 * sequence number back and then loses acknowledged records. This one sends a part again with the same numbers until
 * the leader confirms it, or says that it never will, or the time is over. If the part's fate is unknown then, the
 * partition gets a new producer id.
 *
 * ```
 *  part: waiting ──leader known──▶ sent ──confirmed──▶ appended
 *           ▲                       ├── not now, lost, leader moved: waits, then the same bytes again
 *           └───────────────────────┤   (unsure from the moment it may be in the log)
 *                                   ├── refused for its content, many records ──▶ two halves, one after the other
 *                                   ├── refused for good ──▶ refused
 *                                   └── deadline ──▶ not appended, or unknown if it is unsure
 * ```
 */
export class KafkaProducer implements IdempotentProducer {
  readonly #sessions = new Map<string, Session>();
  readonly #sequences = new Sequences();
  readonly #busy = new Set<string>();
  readonly #outputs: BatchOutput[] = [];
  readonly #batchBytesMax = new Map<string, number>();
  readonly #closing = new AbortController();
  readonly #watch: LeaderWatch;

  constructor(
    private readonly connect: () => Connections,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly backoff: BackoffLimits,
  ) {
    this.#watch = new LeaderWatch(clock);
  }

  lane(topic: string, partition: number): string {
    const leader = this.#sessions.get(topic)?.leaders.leaderOf(partition);
    return leader ? String(leader.nodeId) : "none";
  }

  batchBytesMax(topic: string): number {
    return this.#batchBytesMax.get(topic) ?? BATCH_BYTES_MAX;
  }

  /** Takes the bound from the topic's settings. A refusal may have shown a lower one. */
  noteBatchBytesMax(topic: string, bytes_max: number): void {
    this.#batchBytesMax.set(topic, bytes_max);
  }

  async append(topic: string, records: readonly NewRecord[], deadline_ms?: number): Promise<number[]> {
    requireTimestamps(records);
    await this.#requirePartitions(topic, records);
    const outcomes = await this.send(topic, records, deadline_ms);
    const errors = outcomes.flatMap((outcome) => ("error" in outcome ? [outcome.error] : []));
    const [first] = errors;
    if (first === undefined) return outcomes.map((outcome) => (outcome as { offset: number }).offset);
    const isNone = errors.length === records.length && errors.every(({ code }) => code !== "APPEND_OUTCOME_UNKNOWN");
    if (isNone) throw first;
    throw new AppError("APPEND_OUTCOME_UNKNOWN", `Not all of the append was confirmed: ${first.message}`, {}, first);
  }

  /** Rejects with LOG_UNAVAILABLE before anything is sent. */
  async #requirePartitions(topic: string, records: readonly NewRecord[]): Promise<void> {
    const unknown = (leaders: TopicLeaders) => records.find(({ partition }) => !leaders.has(partition));
    const known = await this.#session(topic, false);
    if (unknown(known.leaders) === undefined) return;
    const { leaders } = await this.#session(topic, true);
    const missing = unknown(leaders);
    if (missing === undefined) return;
    const what = leaders.isGone
      ? `The topic ${topic} does not exist`
      : `The topic ${topic} has no partition ${missing.partition}`;
    throw new AppError("LOG_UNAVAILABLE", `${what}; nothing was appended. Create it first.`);
  }

  async send(
    topic: string,
    records: readonly NewRecord[],
    deadline_ms = this.clock.now_ms() + SEND_MS_MAX,
  ): Promise<SendOutcome[]> {
    const parts = partsOf(records);
    const keys = parts.map(({ partition }) => keyOf(topic, partition));
    for (const key of keys) if (this.#busy.has(key)) throw new Error("a send to the partition is outstanding; one at a time");
    for (const key of keys) this.#busy.add(key);
    const output = this.#outputs.pop() ?? new BatchOutput();
    output.clear();
    const call = new SendCall(records, parts, deadline_ms, output);
    try {
      await this.#sendAll(topic, call);
      return call.outcomes;
    } finally {
      if (call.isOutputFree) this.#outputs.push(output);
      for (const key of keys) this.#busy.delete(key);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const { connections } of this.#sessions.values()) connections.close();
  }

  async #sendAll(topic: string, call: SendCall): Promise<void> {
    const backoff = new Backoff({ ...this.backoff, ...RETRY_WAIT }, this.random);
    for (let isFresh = true; ;) {
      const { steps } = call;
      await this.#round(topic, call, isFresh);
      if (call.isDone) return;
      isFresh = call.steps > steps;
      if (this.#closing.signal.aborted || this.clock.now_ms() >= call.deadline_ms) return this.#giveUp(topic, call);
      // The parts behind a settled one are sent at once.
      if (isFresh) continue;
      const left_ms = call.deadline_ms - this.clock.now_ms();
      await this.clock.sleep(Math.min(backoff.next_ms(), left_ms), this.#closing.signal);
    }
  }

  /** Sends each leader the first part of each of its partitions, and notes what became of them. */
  async #round(topic: string, call: SendCall, isFresh: boolean): Promise<void> {
    const parts = call.heads();
    let session: Session;
    try {
      session = await this.#session(topic, !isFresh || parts.some(({ partition }) => this.lane(topic, partition) === "none"));
    } catch (e) {
      return blame(parts, causeOf(e));
    }
    const byLeader = new Map<number, Part[]>();
    for (const part of parts) {
      const leader = session.leaders.leaderOf(part.partition);
      if (!leader)
        part.cause = session.leaders.isGone
          ? `the topic ${topic} does not exist`
          : `partition ${part.partition} has no leader now`;
      else byLeader.set(leader.nodeId, [...(byLeader.get(leader.nodeId) ?? []), part]);
    }
    await Promise.all([...byLeader].map(([nodeId, ofLeader]) => this.#sendTo(topic, session, nodeId, ofLeader, call)));
  }

  async #session(topic: string, refresh: boolean): Promise<Session> {
    if (this.#closing.signal.aborted) throw new AppError("LOG_UNAVAILABLE", "The producer was closed by this process.");
    let session = this.#sessions.get(topic);
    if (!session) {
      const connections = this.connect();
      session = { connections, leaders: new TopicLeaders(connections, topic, this.clock) };
      this.#sessions.set(topic, session);
    }
    if (!refresh && session.leaders.partitionCount > 0) {
      // A leader that went away and came back causes no error, but it has another epoch.
      const isOld = this.clock.now_ms() - session.leaders.refreshedAt_ms > METADATA_AGE_MS_MAX;
      if (isOld) session.leaders.refresh().catch(() => undefined);
      return session;
    }
    try {
      await session.leaders.refresh();
    } catch (e) {
      // These connections are of no use any more.
      if (this.#sessions.get(topic) === session) this.#sessions.delete(topic);
      session.connections.close();
      throw e;
    }
    return session;
  }

  async #sendTo(topic: string, session: Session, nodeId: number, parts: readonly Part[], call: SendCall): Promise<void> {
    let node: Node | undefined;
    const sent: Part[] = [];
    const watch = this.#watch.begin(session.leaders, nodeId, parts);
    let leave: (() => void) | undefined;
    try {
      node = await watch.orMoved(session.connections.node(nodeId));
      leave = await node.takeTurn(this.clock, call.deadline_ms);
      if (!leave) return blame(parts, `another send to ${node.name} was under way`);
      if (!(await this.#afterThrottle(node, call, parts))) return;
      for (const part of parts) await this.#encode(topic, part, node, call);
      // The steps above took time, and nothing may be sent after the deadline.
      if (this.clock.now_ms() >= call.deadline_ms) return;
      const ready = parts.filter(({ bytes }) => bytes !== undefined);
      const epochs = new Map(ready.map(({ partition }) => [partition, session.leaders.leaderOf(partition)?.leaderEpoch ?? 0]));
      sent.push(...ready);
      const batches = ready.map(({ partition, bytes }) => ({ partition, bytes: bytes as Buffer }));
      const answer = await watch.orMoved(node.send(produceExchange(topic, batches, null)));
      sent.length = 0;
      if (answer.throttle_ms > 0) node.heldBackUntil_ms = this.clock.now_ms() + answer.throttle_ms;
      for (const part of ready) {
        const appended = answer.partitions.find(({ partition }) => partition === part.partition);
        if (appended) this.#settle(topic, part, appended, epochs.get(part.partition) ?? 0, call);
        else part.isUnsure = true;
      }
    } catch (e) {
      if (node) session.connections.discard(node);
      blame(parts, causeOf(e));
      for (const part of sent) part.isUnsure = true;
      if (sent.length > 0) call.isOutputFree = false;
    } finally {
      leave?.();
      watch.end();
    }
  }

  /** Waits as long as a quota asks for (KIP-219). False if that is longer than the time that is left. */
  async #afterThrottle(node: Node, call: SendCall, parts: readonly Part[]): Promise<boolean> {
    const held_ms = node.heldBackUntil_ms - this.clock.now_ms();
    if (held_ms <= 0) return true;
    blame(parts, `a quota of the brokers makes this program wait for ${Math.ceil(held_ms)} ms`);
    await this.clock.sleep(Math.min(held_ms, Math.max(0, call.deadline_ms - this.clock.now_ms())), this.#closing.signal);
    return node.heldBackUntil_ms <= this.clock.now_ms();
  }

  async #encode(topic: string, part: Part, node: Node, call: SendCall): Promise<void> {
    if (part.bytes) return;
    const sequence = this.#sequences.of(keyOf(topic, part.partition));
    try {
      sequence.id ??= await newProducerId(node);
    } catch (e) {
      const type = kafkaErrorType(e);
      if (type === undefined || !type.endsWith("AUTHORIZATION_FAILED")) throw e;
      return call.refuse(part, refused(`${type}: grant this user WRITE on the topic or IDEMPOTENT_WRITE on the cluster`));
    }
    const records = part.indexes.map((index) => call.records[index] as NewRecord);
    part.bytes = encodeBatch(records, { ...sequence.id, sequence: sequence.next, transactional: false }, call.output);
  }

  #settle(topic: string, part: Part, { errorCode, baseOffset }: PartitionAppended, leaderEpoch: number, call: SendCall): void {
    const sequence = this.#sequences.of(keyOf(topic, part.partition));
    if (errorCode === 0) {
      advance(sequence, part.indexes.length);
      return call.confirm(part, baseOffset, Math.max(0, leaderEpoch));
    }
    part.cause = describeError(errorCode, "WRITE");
    const { meaning } = protocolError(errorCode);
    if (meaning === "retry") return;
    if (meaning === "unsure") {
      part.isUnsure = true;
      return;
    }
    // This refusal says nothing about the earlier attempt.
    if (part.isUnsure) return this.#unknown(topic, part, call);
    const isNumbering = meaning === "sequence" || meaning === "fenced";
    if (isNumbering && part.newIds++ < NEW_IDS_MAX) {
      // The leader has not taken the part and does not know these numbers: its log lost its end, or it forgot this
      // producer.
      this.#sequences.forget(keyOf(topic, part.partition));
      part.bytes = undefined;
      return;
    }
    if (meaning === "too-large" || meaning === "record") {
      if (meaning === "too-large") this.#noteTooLarge(topic, part);
      if (part.indexes.length > 1) return call.split(part);
    }
    if (isNumbering) return this.#unknown(topic, part, call);
    call.refuse(part, meaning === "too-large" ? tooLarge(part, part.cause) : refused(part.cause));
  }

  /** Makes most later batches small enough from the start. */
  #noteTooLarge(topic: string, { bytes, indexes }: Part): void {
    if (indexes.length < 2 || !bytes) return;
    const bytes_max = Math.max(BATCH_BYTES_MIN, Math.floor(bytes.length / 2));
    if (bytes_max < this.batchBytesMax(topic)) this.#batchBytesMax.set(topic, bytes_max);
  }

  #giveUp(topic: string, call: SendCall): void {
    const { reach } = this.#sessions.get(topic)?.connections ?? {};
    for (const part of call.heads()) {
      part.cause = reach?.withUnreachable(part.cause) ?? part.cause;
      if (part.isUnsure) this.#unknown(topic, part, call);
      else call.refuse(part, notAppended(part.cause));
    }
    // The parts behind the first one of each partition were never sent.
    while (!call.isDone) for (const part of call.heads()) call.refuse(part, notAppended(part.cause));
  }

  #unknown(topic: string, part: Part, call: SendCall): void {
    this.#sequences.forget(keyOf(topic, part.partition));
    const message = `The broker did not confirm the append before its time was over (${part.cause}).`;
    call.refuse(part, new AppError("APPEND_OUTCOME_UNKNOWN", message));
  }
}

const blame = (parts: readonly Part[], cause: string): void => {
  for (const part of parts) part.cause = cause;
};

const keyOf = (topic: string, partition: number): string => `${topic} ${partition}`;

const notAppended = (cause: string): AppError =>
  new AppError("LOG_UNAVAILABLE", `The log did not take it in time; it was not appended (${cause}). Try again.`);

const refused = (cause: string): AppError =>
  new AppError("APPEND_REFUSED", `The broker refused it, and it was not appended: ${cause}.`);

const tooLarge = ({ bytes }: Part, cause: string): AppError =>
  new AppError(
    "EVENT_TOO_LARGE",
    `With ${bytes?.length ?? 0} bytes it is larger than the topic takes (${cause}); it was not appended.`,
  );
