import { AppError, errorCatalogue, isAppError } from "../errors.ts";
import type { HttpRequest } from "../http/http-request.ts";
import type { Assignment } from "../log/membership.ts";
import type { Clock } from "../system/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { HopMeter } from "../telemetry/meters.ts";
import { type FleetConcern, FleetConcerns } from "./fleet-concerns.ts";
import { type FailedHop, type HopRequest, Hops } from "./hops.ts";
import { Members, type Peer } from "./members.ts";
import { PeerGuard } from "./peer-guard.ts";
import type { PeerAnswer, PeerTransport } from "./peer-transport.ts";
import { RareWarnings } from "./rare-warnings.ts";

/** How long the hops of a request take at most, together with the wait for a newer assignment. */
export const HOPS_MS_MAX = 3_000;
/** How long one hop takes at most, apart from what it waits for. */
const HOP_MS_MAX = 1_000;
/** How long a newer assignment is waited for when an owner has left; members hear of one with their next heartbeat. */
export const FRESH_WAIT_MS_MAX = 1_500;
/** What is left for the second try after that. */
const SECOND_TRY_MS_MIN = 300;
/** For how long after a wait in vain nobody waits for a newer assignment who has somebody else's answer. */
const VAIN_MS = 10_000;

export interface FleetOptions {
  /** The secret that all members have; undefined: this member is asked by nobody and asks nobody. */
  readonly secret: string | undefined;
  readonly topic: string;
  /** After which silence the group gives up a member. */
  readonly session_timeout_ms: number;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter?: HopMeter | undefined;
}

/** A question about partitions, as it is put to whoever holds them. */
export interface Question<T> {
  readonly isHere: (partition: number) => boolean;
  /** Answers for partitions that are held here; what is not told is not held any more. */
  readonly here: (partitions: readonly number[]) => Promise<ReadonlyMap<number, T | AppError>>;
  /** What to ask a peer about these partitions. */
  readonly request: (partitions: readonly number[]) => HopRequest;
  /** Reads a peer's answer; what is not told is not held there any more. Throws if it is no good one. */
  readonly read: (answer: PeerAnswer, partitions: readonly number[]) => ReadonlyMap<number, T | AppError>;
  /** How much longer than usual the peer may take, as it waits for something. */
  readonly wait_ms_max?: number;
  /**
   * Whether it is told by somebody who may not be the owner any more: it counts only if the owner cannot be asked.
   * Absent: nobody but owners tells anything, and `askFollowers` is not called.
   */
  readonly isSecondHand?: (answer: T) => boolean;
}

export type Told<T> = Map<number, T | AppError>;

/**
 * The members that share the topic's partitions, as one of them sees the others: who owns what, how to ask, and whom to
 * answer.
 *
 * ```
 *  made ──begin(), the log is known──▶ can ask and be asked, as soon as the group has told the members
 * ```
 */
export class Fleet {
  readonly members: Members;
  readonly #concerns: FleetConcerns;
  readonly #warnings: RareWarnings;
  readonly #guard: PeerGuard;
  readonly #hops: Hops;
  readonly #clock: Clock;
  /** Until when a wait for a newer assignment counts as vain; the next assignment ends that. */
  #vainUntil_ms = Number.NEGATIVE_INFINITY;

  constructor(options: FleetOptions) {
    const { clock, logger, secret, topic, session_timeout_ms } = options;
    const warnings = new RareWarnings(clock, logger);
    this.#clock = clock;
    this.members = new Members(clock);
    this.#warnings = warnings;
    this.#concerns = new FleetConcerns(topic, this.members, clock, session_timeout_ms);
    this.#guard = new PeerGuard(secret, topic, warnings, this.#concerns);
    this.#hops = new Hops({ ...options, guard: this.#guard, warnings, concerns: this.#concerns });
  }

  /** How many members share the topic, this one included; 0 while that is not told. */
  get memberCount(): number {
    return this.members.all.length;
  }

  /** The others that can be asked, and whether hops to them are spared since they do not answer. */
  get peers(): readonly (Peer & { readonly isGivenUp: boolean })[] {
    return this.members.peers.map((peer) => ({ ...peer, isGivenUp: this.#hops.breakerOf(peer) !== "closed" }));
  }

  /** What a person should know about the members, as this one sees them. */
  get concerns(): readonly FleetConcern[] {
    return this.#concerns.all;
  }

  /** Every concern that there may be, and whether there is one. */
  get findings(): FleetConcerns["findings"] {
    return this.#concerns.findings;
  }

  begin(logId: string): void {
    this.#guard.begin(logId);
  }

  assigned(assignment: Assignment): void {
    this.#vainUntil_ms = Number.NEGATIVE_INFINITY;
    this.members.assigned(assignment);
    this.#hops.keep(this.members.peers);
    this.#concerns.keep(assignment.members);
  }

  /** Logs which members share a URL. Called regularly, since nothing happens when that has lasted. */
  tellSharedUrls(): void {
    for (const { detail } of this.#concerns.sharedUrls) this.#warnings.tell(detail);
  }

  /** Returns until when a peer's request is waited for. Throws what refuses one that is not a peer's. */
  admit(request: HttpRequest): number {
    return this.#clock.now_ms() + this.#guard.admit(request, this.members.self);
  }

  /**
   * Asks whoever holds each of the partitions, all at once. What an owner no longer holds, or does not answer for, is
   * asked once more after a newer assignment, if one comes in time. Where an owner is silent and somebody else can be
   * asked, that is not waited for.
   *
   * Resolves with an answer or an error for each partition: PARTITION_ELSEWHERE if the group does not tell where its
   * owner can be asked, OWNER_UNREACHABLE if nobody answered for it, or what the owner said.
   */
  async ask<T>(partitions: Iterable<number>, question: Question<T>, deadline_ms: number): Promise<Told<T>> {
    const told: Told<T> = new Map();
    const first = await this.#askOnce([...partitions], question, deadline_ms, told);
    if (first.size === 0) return told;
    const isNewer = await this.#isNewer(first, question, deadline_ms);
    // What is held here may be known to be by now.
    const again = [...first.keys()].filter((partition) => isNewer || question.isHere(partition));
    const second = await this.#askOnce(again, question, deadline_ms, told);
    for (const [partition, earlier] of first) {
      if (told.has(partition)) continue;
      const { why, answer = earlier.answer } = second.get(partition) ?? earlier;
      told.set(partition, answer ?? unreachable(partition, why));
    }
    return told;
  }

  /**
   * Asks one of those who follow each of the partitions, where there is one that can be asked. Resolves with what they
   * told.
   */
  async askFollowers<T>(partitions: readonly number[], question: Question<T>, deadline_ms: number): Promise<Map<number, T>> {
    const followed = new ByPeer();
    for (const partition of partitions) {
      const [follower] = this.members.followersOf(partition);
      if (follower !== undefined) followed.add(follower, partition);
    }
    const told = new Map<number, T>();
    const asks = [...followed.values()].map(async ({ peer, partitions: asked }) => {
      const answer = await this.#hop(peer, question, asked, deadline_ms);
      if (!(answer instanceof Map)) return;
      for (const [partition, one] of answer as Map<number, T | AppError>)
        if (!isAppError(one) && asked.includes(partition)) told.set(partition, one);
    });
    await Promise.all(asks);
    return told;
  }

  /** Waits for a newer assignment, where one may tell more than what can be had without it. */
  async #isNewer<T>(moved: Moved<T>, question: Question<T>, deadline_ms: number): Promise<boolean> {
    const now_ms = this.#clock.now_ms();
    const isWaitedFor = moved.entries().some(([partition, { isSilent, answer }]) => {
      const mayBeFollowers = question.isSecondHand !== undefined && this.members.isFollowed(partition);
      if (answer === undefined && !mayBeFollowers) return true;
      return !isSilent && now_ms >= this.#vainUntil_ms;
    });
    const wait_ms = isWaitedFor ? Math.min(FRESH_WAIT_MS_MAX, deadline_ms - now_ms - SECOND_TRY_MS_MIN) : 0;
    const isNewer = await this.members.newerThan(moved.version, wait_ms);
    if (isWaitedFor && !isNewer) this.#vainUntil_ms = this.#clock.now_ms() + VAIN_MS;
    return isNewer;
  }

  /** Adds to `told`, and resolves with why the other partitions are where they are not any more, or may not be. */
  async #askOnce<T>(partitions: readonly number[], question: Question<T>, deadline_ms: number, told: Told<T>): Promise<Moved<T>> {
    const moved = new Moved<T>(this.members.version);
    const here: number[] = [];
    const atPeers = new ByPeer();
    for (const partition of partitions) {
      const owner = question.isHere(partition) ? "here" : this.members.ownerOf(partition);
      if (owner === "here") here.push(partition);
      else if (owner === "self") moved.set(partition, { why: "This order service does not hold it any more." });
      else if (owner === "nobody") told.set(partition, notDealtOut(partition));
      else if (owner === undefined) told.set(partition, elsewhere(partition));
      else atPeers.add(owner, partition);
    }
    const note = (asked: readonly number[], answers: ReadonlyMap<number, T | AppError>, where: string): void => {
      for (const partition of asked) {
        const answer = answers.get(partition);
        if (answer === undefined) moved.set(partition, { why: `${where} does not hold it.` });
        else if (isGone(answer)) moved.set(partition, { why: answer.message });
        else if (!isAppError(answer) && question.isSecondHand?.(answer) === true)
          moved.set(partition, { why: `${where} may not own it any more.`, answer });
        else told.set(partition, answer);
      }
    };
    await Promise.all([
      here.length === 0 ? undefined : question.here(here).then((answers) => note(here, answers, "This order service")),
      ...[...atPeers.values()].map(async ({ peer, partitions: asked }) => {
        const answer = await this.#hop(peer, question, asked, deadline_ms);
        if (answer instanceof Map) return note(asked, answer, peer.url);
        const { failure, detail, wasGivenUp } = answer as FailedHop;
        for (const partition of asked)
          if (failure === "no-answer" && !wasGivenUp) moved.set(partition, { why: detail, isSilent: true });
          else if (failure === "full") told.set(partition, new AppError("OVERLOADED", `${detail} Try again soon.`));
          else told.set(partition, unreachable(partition, detail));
      }),
    ]);
    return moved;
  }

  async #hop<T>(
    peer: Peer,
    question: Question<T>,
    partitions: readonly number[],
    deadline_ms: number,
  ): Promise<ReadonlyMap<number, T | AppError> | FailedHop> {
    const left_ms = deadline_ms - this.#clock.now_ms();
    const answer = await this.send(
      peer,
      question.request(partitions),
      Math.min(left_ms, HOP_MS_MAX + (question.wait_ms_max ?? 0)),
    );
    if ("failure" in answer) return answer;
    try {
      return new Map(question.read(answer, partitions));
    } catch (e) {
      if (isAppError(e) && isTellable(e)) return new Map(partitions.map((partition) => [partition, e]));
      return {
        failure: "refused",
        wasGivenUp: false,
        maybeSent: true,
        detail: `${peer.url} answers what cannot be used: ${(e as Error).message}`,
      };
    }
  }

  /** Sends one request to a peer. Never rejects. */
  send(peer: Peer, request: HopRequest, wait_ms_max: number): Promise<PeerAnswer | FailedHop> {
    return this.#hops.send(peer, request, this.members.self, wait_ms_max);
  }
}

interface MovedPartition<T> {
  /** A sentence. */
  readonly why: string;
  /** Whether the owner did not answer at all. */
  readonly isSilent?: boolean;
  /** What was told at second hand. */
  readonly answer?: T;
}

/** Why partitions are not where the assignment of that version has them. */
class Moved<T> extends Map<number, MovedPartition<T>> {
  constructor(readonly version: number) {
    super();
  }
}

/** The partitions that each peer is asked about, by its URL. */
export class ByPeer extends Map<string, { readonly peer: Peer; readonly partitions: number[] }> {
  add(peer: Peer, partition: number): void {
    if (this.get(peer.url)?.partitions.push(partition) === undefined) this.set(peer.url, { peer, partitions: [partition] });
  }
}

/** Whether a member says that another one may hold the partition by now. */
const isGone = (answer: unknown): answer is AppError =>
  isAppError(answer, "PARTITION_ELSEWHERE") || isAppError(answer, "SHUTTING_DOWN");

/** Whether what a peer answers about partitions may be told to clients: any other refusal is between members. */
const isTellable = ({ code }: AppError): boolean => errorCatalogue[code].status === 503 || code === "PARTITION_ELSEWHERE";

const elsewhere = (partition: number): AppError =>
  new AppError("PARTITION_ELSEWHERE", `Partition ${partition} is held by another instance; ask that one.`, { partition });

const notDealtOut = (partition: number): AppError =>
  new AppError("CATCHING_UP", `Partition ${partition} was added, and no order service holds it yet; ask again.`, { partition });

const unreachable = (partition: number, why: string): AppError =>
  new AppError("OWNER_UNREACHABLE", `Partition ${partition} cannot be asked now; ask again. ${why}`, { partition });
