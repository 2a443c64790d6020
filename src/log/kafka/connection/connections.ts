import { type Clock, within } from "../../../system/clock.ts";
import { AppError } from "../../../errors.ts";
import { type Address, type BrokerReach, brokerName } from "./broker-reach.ts";
import { AnswerBuffers } from "./answer-buffers.ts";
import { type Broker, CONTROL, type Exchange, FETCHES, type MakeBroker } from "./cluster.ts";
import { describeFailure, unavailable } from "../protocol/errors.ts";
import { type Metadata, metadataExchange, type NodeAddress } from "../protocol/metadata.ts";

export interface ConnectionsOptions {
  readonly seeds: readonly Address[];
  readonly makeBroker: MakeBroker;
  readonly clock: Clock;
  /** Shared by all instances. */
  readonly reach: BrokerReach;
}

export const METADATA_MS_MAX = 2_000;
/** How long to wait for a broker's answer before the next broker is asked too. */
export const HEDGE_MS = 400;
/** A broker that failed, or did not answer, this recently is tried last, unless it is needed in particular. */
const AVOIDED_MS = 1_000;
const API_METADATA = 3;

/**
 * One broker, as this instance of the connections knows it. Once broken, it is replaced by another node with the same
 * id.
 */
export class Node {
  /** The time on the clock before which a quota asks that nothing be sent to the broker (KIP-219). */
  heldBackUntil_ms = Number.NEGATIVE_INFINITY;
  /** Where large answers to fetches lie. */
  readonly answers = new AnswerBuffers();
  /** Those who wait for their turn to send to the broker, one at a time; see `takeTurn`. */
  readonly #turns: (() => void)[] = [];
  #isTaken = false;
  readonly #used = [false, false];
  #hasAnswered = false;
  #controlsUnderWay = 0;
  #broker: Promise<Broker> | undefined;
  #isBroken = false;

  constructor(
    readonly address: Address,
    readonly nodeId: number | null,
    private readonly options: Pick<ConnectionsOptions, "makeBroker" | "reach">,
  ) {}

  get name(): string {
    return brokerName(this.address, this.nodeId);
  }

  /** Whether it has answered more than the question for its versions. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** The broker, connected and logged in. Those who ask at the same time share the connection. */
  broker(): Promise<Broker> {
    return (this.#broker ??= this.#connect());
  }

  /** The highest version of this API that the broker speaks; 0 if it does not speak it. */
  async version(apiKey: number): Promise<number> {
    return (await this.broker()).versions?.[apiKey]?.maxVersion ?? 0;
  }

  async send<T>(exchange: Exchange<T>, isFetch = false): Promise<T> {
    const index = isFetch ? FETCHES : CONTROL;
    const { connectionPool } = await this.broker();
    // kafkajs would reconnect by itself, and nobody would notice that the broker may have become another one in the
    // meantime. It may do so only if nothing was under way: brokers and gateways end connections that stay idle.
    const isLost = this.#used[index] && !connectionPool.pool[index]?.isConnected();
    if (this.#isBroken || (isLost && (isFetch || this.#controlsUnderWay > 0))) throw new Error("the connection was lost");
    if (!isFetch) this.#controlsUnderWay++;
    try {
      const connection = await connectionPool.getConnection(index);
      this.#used[index] = true;
      const answer = await connection.send(exchange);
      this.#hasAnswered = true;
      return answer;
    } finally {
      if (!isFetch) this.#controlsUnderWay--;
    }
  }

  /**
   * Resolves with a function that gives the turn back, or with undefined if the turn has not come before `until_ms` on
   * the clock. Taking turns is needed because a quota applies from an answer on (KIP-219): what was sent before that
   * answer came is neither taken nor refused while the quota lasts.
   */
  async takeTurn(clock: Clock, until_ms: number): Promise<(() => void) | undefined> {
    const leave = () => {
      const next = this.#turns.shift();
      if (next) next();
      else this.#isTaken = false;
    };
    if (!this.#isTaken) {
      this.#isTaken = true;
      return leave;
    }
    const { promise, resolve } = Promise.withResolvers<true>();
    const come = () => resolve(true);
    this.#turns.push(come);
    if (await within(clock, until_ms - clock.now_ms(), promise)) return leave;
    const at = this.#turns.indexOf(come);
    // The turn came at the moment when it was given up.
    if (at < 0) leave();
    else this.#turns.splice(at, 1);
    return undefined;
  }

  /** Breaks the node for good; requests under way fail. */
  break(): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#broker?.then((broker) => broker.disconnect()).catch(() => undefined);
  }

  async #connect(): Promise<Broker> {
    const { makeBroker, reach } = this.options;
    const broker = await makeBroker(this.address, this.nodeId, this.answers);
    try {
      await broker.connect();
    } catch (e) {
      if (!this.#isBroken) reach.noteAttempt(this.address, e);
      throw e;
    }
    reach.noteAttempt(this.address);
    this.#used[CONTROL] = true;
    if (this.#isBroken) {
      void broker.disconnect().catch(() => undefined);
      throw new Error("the connection was given up");
    }
    return broker;
  }
}

/**
 * Connections to the brokers of a cluster, for one part of the log. What was asked through one instance is never
 * answered through another: a part that begins anew takes a new instance and closes the old one. Within an instance,
 * each broker fails by itself.
 *
 * ```
 *  a node: made ──broker()──▶ connected ──discard()──▶ broken, forgotten; whoever needs it next makes another
 *  the instance: open ──close()──▶ closed, all nodes broken
 * ```
 */
export class Connections {
  readonly #nodes = new Map<number, Node>();
  readonly #seeds: Node[];
  readonly #avoidedFrom_ms = new Map<string, number>();
  #addresses = new Map<number, NodeAddress>();
  #isClosed = false;

  constructor(private readonly options: ConnectionsOptions) {
    this.#seeds = options.seeds.map((address) => new Node(address, null, options));
  }

  get reach(): BrokerReach {
    return this.options.reach;
  }

  /** Metadata of the named topics, from whichever broker answers first. Rejects with LOG_UNAVAILABLE if none does. */
  async metadata(topics: readonly string[]): Promise<Metadata> {
    const metadata = await this.#firstOf(async (node) => {
      const version = await node.version(API_METADATA);
      return node.send(metadataExchange(topics, version, METADATA_MS_MAX));
    });
    this.options.reach.noteBrokers(metadata.brokers);
    this.#addresses = new Map(metadata.brokers.map((address) => [address.nodeId, address]));
    for (const [nodeId, node] of this.#nodes) {
      const address = this.#addresses.get(nodeId);
      if (address && address.host === node.address.host && address.port === node.address.port) continue;
      this.#nodes.delete(nodeId);
      node.break();
    }
    return metadata;
  }

  /** The broker with this id, connected. Rejects with a plain Error that names it. */
  async node(nodeId: number): Promise<Node> {
    const address = this.#addresses.get(nodeId);
    if (!address) throw new Error(`broker ${nodeId} is not in the cluster now`);
    return this.#nodeAt(address, nodeId);
  }

  /** The broker that an answer named with its address, as it does for coordinators. */
  async nodeAt(address: NodeAddress): Promise<Node> {
    this.#addresses.set(address.nodeId, address);
    return this.#nodeAt(address, address.nodeId);
  }

  /** Runs `work` on whichever broker answers first. */
  any<T>(work: (node: Node) => Promise<T>): Promise<T> {
    return this.#firstOf(work);
  }

  /** Gives up a node whose connections failed or are of no use. Whoever needs the broker next connects anew. */
  discard(node: Node): void {
    this.#avoidedFrom_ms.set(node.name, this.options.clock.now_ms());
    if (node.nodeId !== null && this.#nodes.get(node.nodeId) === node) this.#nodes.delete(node.nodeId);
    const seed = this.#seeds.indexOf(node);
    if (seed >= 0) this.#seeds[seed] = new Node(node.address, null, this.options);
    node.break();
  }

  close(): void {
    this.#isClosed = true;
    for (const node of [...this.#nodes.values(), ...this.#seeds]) node.break();
    this.#nodes.clear();
  }

  async #nodeAt(address: Address, nodeId: number): Promise<Node> {
    if (this.#isClosed) throw closed();
    let node = this.#nodes.get(nodeId);
    if (node && (node.address.host !== address.host || node.address.port !== address.port)) {
      node.break();
      node = undefined;
    }
    node ??= new Node(address, nodeId, this.options);
    this.#nodes.set(nodeId, node);
    try {
      await node.broker();
      return node;
    } catch (e) {
      this.discard(node);
      throw new Error(this.reach.withUnreachable(describeFailure(node.name, e, true)), { cause: e });
    }
  }

  /**
   * Asks one broker after another: the next one as soon as the last one failed or took too long. Resolves with the
   * first answer.
   */
  async #firstOf<T>(work: (node: Node) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw closed();
    const asked: Promise<T>[] = [];
    const failures: unknown[] = [];
    for (const node of this.#candidates()) {
      const answer = this.#ask(node, work);
      answer.catch((e: unknown) => failures.push(e));
      asked.push(answer);
      const first = await within(this.options.clock, HEDGE_MS, Promise.race([firstSettled(answer), firstSuccess(asked)]));
      if (first && "value" in first) return first.value;
      // What is asked next asks the others first, too.
      if (first === undefined) this.#avoidedFrom_ms.set(node.name, this.options.clock.now_ms());
    }
    try {
      return await Promise.any(asked);
    } catch {
      const first = failures[0];
      const cause = first instanceof Error ? new Error(this.reach.withUnreachable(first.message), { cause: first }) : first;
      throw unavailable(failures.find((e) => e instanceof AppError) ?? cause);
    }
  }

  async #ask<T>(node: Node, work: (node: Node) => Promise<T>): Promise<T> {
    try {
      return await work(node);
    } catch (e) {
      if (e instanceof AppError) throw e;
      this.discard(node);
      throw new Error(describeFailure(node.name, e, !node.hasAnswered), { cause: e });
    }
  }

  /** Brokers that neither failed nor were silent lately, nor hold us back, come first, and among equals the seeds come last. */
  #candidates(): Node[] {
    const { clock } = this.options;
    const now_ms = clock.now_ms();
    for (const [nodeId, address] of this.#addresses)
      if (!this.#nodes.has(nodeId)) this.#nodes.set(nodeId, new Node(address, nodeId, this.options));
    const rank = (node: Node): number => {
      const avoidedFrom_ms = this.#avoidedFrom_ms.get(node.name) ?? Number.NEGATIVE_INFINITY;
      return (now_ms - avoidedFrom_ms < AVOIDED_MS ? 2 : 0) + (node.heldBackUntil_ms > now_ms ? 1 : 0);
    };
    return [...this.#nodes.values(), ...this.#seeds].toSorted((a, b) => rank(a) - rank(b));
  }
}

const closed = (): AppError => new AppError("LOG_UNAVAILABLE", "The connection to the log is closed.");

type Settled<T> = { readonly value: T } | { readonly failed: true };

/** Settles when `answer` does, but never rejects. */
const firstSettled = <T>(answer: Promise<T>): Promise<Settled<T>> =>
  answer.then(
    (value) => ({ value }),
    () => ({ failed: true }),
  );

/** Never settles if all fail. */
const firstSuccess = <T>(answers: readonly Promise<T>[]): Promise<Settled<T>> =>
  new Promise((resolve) => {
    for (const answer of answers) answer.then((value) => resolve({ value })).catch(() => undefined);
  });
