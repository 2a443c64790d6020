import { type Clock, within } from "../../../system/clock.ts";
import type { Random } from "../../../system/random.ts";
import { handsOver, leavesAtStop } from "../../group/leaving.ts";
import { Backoff, type BackoffLimits } from "../../backoff.ts";
import type { Assignment, CommittedOffset, GroupOptions, Membership, MembershipState } from "../../membership.ts";
import type { Connections, Node } from "../connection/connections.ts";
import { findCoordinator } from "../connection/coordinator.ts";
import { kafkaErrorType, unavailable } from "../protocol/errors.ts";
import { commitOffsets, committedOffsets } from "./committed-offsets.ts";
import { Absences } from "./absences.ts";
import { dealOut, hasGrown, idOf } from "./dealing.ts";
import { decodeAssignment, PROTOCOL } from "./group-protocol.ts";
import { type JoinedGroup, knowsInstances, type MemberName, sendHeartbeat, sendJoin, sendSync } from "./group-requests.ts";
import { FENCED, isPutOut, isSettling, SETTLING_MS_MAX, sleepNoting, whyNotJoined } from "./join-failures.ts";
import { leaveGroup } from "./leave.ts";
import { isToWait, underOldLeader } from "./old-leaders.ts";
import { ownMetadata } from "./own-metadata.ts";

export const HEARTBEATS_PER_SESSION = 20;
/**
 * While the group deals out anew, it waits this part of a session for a member that is away, such as one that restarts.
 * The others have to be done before half a session is over, since they could no longer act then. Members without an
 * instance id would be removed, so they have a whole session.
 */
const REBALANCE_SESSIONS = 0.4;
/** How often a member checks whether its topic has grown. */
const PARTITIONS_WAIT_MS = 3_000;
const END_WAIT_MS_MAX = 1_000;
export interface MembershipSettings extends BackoffLimits {
  readonly session_timeout_ms: number;
}

/**
 * A member of a Kafka consumer group, by the classic group protocol (JoinGroup, SyncGroup, Heartbeat), which Redpanda
 * speaks too. It only decides who owns what; KafkaReader does the reading. State is a function of the log, so
 * partitions that a member keeps carry on during a rebalance. Only those that it loses stop, once the new assignment
 * is known.
 *
 * ```
 *  made ──start()──▶ joining
 *            JoinGroup (a member id), JoinGroup, SyncGroup
 *  joining ────────────────────────────────────────────────────▶ stable
 *    │ ▲                                                         │  │
 *    │ └── heartbeat: rebalance, unknown member, connection lost ┘  │
 *    └── leave() ───────────────────────────────────────────────────┴──▶ left
 *                                     (LeaveGroup, as soon as there is a member id, unless it is to stay)
 *
 *  fenced: another process joined under the same instance id ──▶ joining, under a new one
 * ```
 *
 * A member with an instance id is the same one after a restart (KIP-345): the coordinator takes it back without a
 * rebalance, and gives it what it had. So the others are not told what is new about it, unless it asks for that. Nor is
 * a leader that restarts told to deal out again: so each member watches the topic, and asks for a rebalance (KIP-814
 * would need a version of JoinGroup that Redpanda does not have).
 */
export class KafkaMembership implements Membership {
  #state: MembershipState = "joining";
  #memberId = "";
  /** The id that names this member across restarts; undefined where there is none, or the brokers do not take one. */
  #instanceId: string | undefined;
  #generation = -1;
  #assignment: Assignment | undefined;
  #asked = 0;
  /** Whether it has asked for one so that the others learn what is new about it. */
  #hasAskedToBeTold = false;
  /** Since when it has tried in vain to be in the group. */
  #outSince_ms: number | undefined;
  #toldLost = false;
  /** For how long the process stood still before the last heartbeat. */
  #stood_ms = 0;
  /** When the last heartbeat or join was sent that the coordinator answered well. */
  #confirmedAt_ms = Number.NEGATIVE_INFINITY;
  #coordinator: Node | undefined;
  /** Settles when the member's id is known, or when it is certain that there will be none. */
  #naming: Promise<unknown> | undefined;
  #reason: string | undefined;
  /** How many partitions the topic had when it last joined, and whether it waits to be ready for them (old-leaders.ts). */
  #waiting = { partitionCount: 0, isWaiting: false };
  /** Whether this member has something to tell for which the partitions are to be shared out anew. */
  #isToRejoin = false;
  /** Set once this member gives its partitions away; resolved once the group has dealt out knowing that. */
  #retiring: PromiseWithResolvers<void> | undefined;
  readonly #absences: Absences;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    private readonly connect: () => Connections,
    private readonly options: GroupOptions,
    private readonly settings: MembershipSettings,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly partitionCount: (topic: string) => Promise<number>,
  ) {
    this.#absences = new Absences(settings.session_timeout_ms, clock);
  }

  start(): void {
    this.#running = this.#run();
  }

  get state(): MembershipState {
    return this.#state;
  }

  get reason(): string | undefined {
    return this.#state === "stable" ? undefined : this.#reason;
  }

  isOwner(): boolean {
    return this.#generation >= 0 && this.clock.now_ms() - this.#confirmedAt_ms < this.settings.session_timeout_ms / 2;
  }

  async commit(offsets: ReadonlyMap<number, CommittedOffset>): Promise<void> {
    const coordinator = this.#coordinator;
    if (this.#state !== "stable" || !coordinator || offsets.size === 0) return;
    const by = { ...this.options, generation: this.#generation, memberId: this.#memberId };
    const committed = coordinator.broker().then((broker) => commitOffsets(broker, by, offsets));
    await committed.catch(() => undefined);
  }

  async committed(partitions: readonly number[]): Promise<ReadonlyMap<number, CommittedOffset>> {
    const coordinator = this.#coordinator;
    // A broker that holds a JoinGroup back answers nothing else on that connection.
    if (this.#state !== "stable" || !coordinator) throw unavailable("this member is not in its group now");
    const committed = coordinator.broker().then((broker) => committedOffsets(broker, this.options, partitions));
    return committed.catch((e: unknown) => Promise.reject(unavailable(e)));
  }

  async handOver(wait_ms_max: number): Promise<void> {
    if (this.#state !== "stable" || !handsOver(this.options.leaving, this.#assignment)) return;
    this.#retiring = Promise.withResolvers();
    this.rejoin();
    await within(this.clock, wait_ms_max, this.#retiring.promise);
  }

  async leave(): Promise<void> {
    if (this.#state === "left") return;
    const isJoining = this.#state === "joining";
    this.#state = "left";
    this.#ending.abort();
    if (this.#instanceId === undefined || leavesAtStop(this.options.leaving ?? "always", this.#assignment)) {
      const { connect, clock } = this;
      await leaveGroup({ connect, clock, named: this.#naming, name: () => this.#name, isJoining });
    }
    this.#generation = -1;
    if (this.#running) await within(this.clock, END_WAIT_MS_MAX, this.#running);
  }

  get #name(): MemberName {
    return { groupId: this.options.group, memberId: this.#memberId, groupInstanceId: this.#instanceId };
  }

  async #run(): Promise<void> {
    const backoff = new Backoff(this.settings, this.random);
    while (!this.#hasLeft()) {
      const connections = this.connect();
      const ended = () => connections.close();
      this.#ending.signal.addEventListener("abort", ended, { once: true });
      try {
        while (!this.#hasLeft()) {
          await this.#join(connections);
          backoff.reset();
          await this.#heartbeatWhileStable();
        }
      } catch (e) {
        this.#coordinator = undefined;
        if (!this.#hasLeft()) {
          await this.#fallOut(e, connections);
          await this.clock.sleep(backoff.next_ms(), this.#ending.signal);
        }
      } finally {
        this.#ending.signal.removeEventListener("abort", ended);
        connections.close();
      }
    }
  }

  #hasLeft(): boolean {
    return this.#state === "left";
  }

  async #join(connections: Connections): Promise<void> {
    const { group, topic } = this.options;
    const node = await findCoordinator(connections, group, "group");
    this.#coordinator = node;
    const retiring = this.#retiring;
    const joined = await this.#joinGroup(node);
    this.#memberId = joined.memberId;
    const syncSentAt_ms = this.clock.now_ms();
    const absent = this.#absences.note(joined, this.#generation, this.#assignment);
    const dealt = joined.leaderId === joined.memberId ? await dealOut(joined, absent, this.partitionCount) : [];
    const { memberAssignment } = await sendSync(node, this.#name, joined.generationId, dealt);
    if (this.#hasLeft()) return;
    const id = idOf({ memberId: joined.memberId, groupInstanceId: this.#instanceId });
    const { assignment: dealtOut, told } = decodeAssignment(memberAssignment, topic, id);
    const { partitionCount, isWaiting } = this.#waiting;
    const isOldLeader = dealtOut.members.length === 0 && this.options.ready !== undefined;
    const assignment = isOldLeader ? underOldLeader(dealtOut, partitionCount, isWaiting) : dealtOut;
    const wasAway = !this.isOwner();
    this.#generation = joined.generationId;
    this.#confirmedAt_ms = syncSentAt_ms;
    this.#assignment = assignment;
    this.#state = "stable";
    this.#reason = undefined;
    this.#outSince_ms = undefined;
    this.#toldLost = false;
    this.options.listener.onAssigned({ ...assignment, wasAway });
    retiring?.resolve();
    const { endpoint, standbysPerPartition = 0 } = this.options;
    const isKnown = told?.endpoint === endpoint && told?.standbysPerPartition === standbysPerPartition;
    // A leader of an earlier version tells of nobody, however often it is asked.
    if (isKnown || this.#hasAskedToBeTold || assignment.members.length === 0) return;
    this.#hasAskedToBeTold = true;
    this.#askForRebalance();
  }

  /**
   * A new member without an instance id is given its member id first and joins under it (KIP-394), so that it can leave
   * even before the group has admitted it.
   */
  async #joinGroup(node: Node): Promise<JoinedGroup> {
    if (this.#memberId === "") this.#instanceId = (await knowsInstances(node)) ? this.options.instance?.id() : undefined;
    const first = this.#sendJoin(node);
    if (this.#memberId !== "" || this.#instanceId !== undefined) return first;
    this.#naming = first.catch((e: unknown) => {
      const { memberId } = e as { memberId?: unknown };
      if (typeof memberId === "string") this.#memberId = memberId;
    });
    await this.#naming;
    if (this.#hasLeft()) throw new Error("left while joining");
    // A broker that gives no id beforehand has answered the join itself, or refused it.
    return this.#memberId === "" ? first : this.#sendJoin(node);
  }

  async #lookWhetherToWait(): Promise<void> {
    const { ready, topic } = this.options;
    const { partitions = [], members = [] } = this.#assignment ?? {};
    const partitionCount = await this.partitionCount(topic);
    const mayWait = ready !== undefined && partitions.length === 0 && members.length === 0;
    this.#waiting = { partitionCount, isWaiting: mayWait && isToWait(partitionCount, ready()) };
  }

  async #sendJoin(node: Node): Promise<JoinedGroup> {
    await this.#lookWhetherToWait();
    const { session_timeout_ms } = this.settings;
    const metadata = ownMetadata(this.options, this.#assignment, {
      isWaiting: this.#waiting.isWaiting,
      isRetiring: this.#retiring !== undefined,
      asked: this.#asked,
      generation: this.#generation,
    });
    return sendJoin(node, this.#name, {
      sessionTimeout: session_timeout_ms,
      rebalanceTimeout: session_timeout_ms * (this.#instanceId === undefined ? 1 : REBALANCE_SESSIONS),
      groupProtocols: [{ name: PROTOCOL, metadata }],
    });
  }

  /** Returns when the member has to join again. Throws if the membership or the connection is lost. */
  async #heartbeatWhileStable(): Promise<void> {
    let lookedAt_ms = this.clock.now_ms();
    while (this.#state === "stable") {
      const wait_ms = this.settings.session_timeout_ms / HEARTBEATS_PER_SESSION;
      this.#stood_ms = await sleepNoting(this.clock, wait_ms, this.#ending.signal);
      if (this.#hasLeft() || !this.#coordinator) return;
      if (await this.#isReadyForMore()) return this.#askForRebalance();
      const sentAt_ms = this.clock.now_ms();
      try {
        await sendHeartbeat(this.#coordinator, this.#name, this.#generation);
        this.#confirmedAt_ms = sentAt_ms;
      } catch (e) {
        if (kafkaErrorType(e) !== "REBALANCE_IN_PROGRESS") throw e;
        this.#confirmedAt_ms = sentAt_ms;
        return this.#rejoin();
      }
      if (sentAt_ms - lookedAt_ms < PARTITIONS_WAIT_MS) continue;
      lookedAt_ms = sentAt_ms;
      if (await hasGrown(this.#assignment, () => this.partitionCount(this.options.topic))) this.#askForRebalance();
    }
  }

  #askForRebalance(): void {
    this.#asked++;
    this.#rejoin();
  }

  /** Whether there is something to tell the group. A leader of an earlier version heeds only a member that is ready for all. */
  async #isReadyForMore(): Promise<boolean> {
    if (!this.#isToRejoin) return false;
    this.#isToRejoin = false;
    if (this.#waiting.isWaiting) await this.#lookWhetherToWait().catch(() => undefined);
    return !this.#waiting.isWaiting || (this.#assignment?.members.length ?? 0) > 0;
  }

  rejoin(): void {
    this.#isToRejoin = true;
  }

  #rejoin(): void {
    this.#isToRejoin = false;
    if (!this.#hasLeft()) this.#state = "joining";
  }

  async #fallOut(e: unknown, { reach }: Connections): Promise<void> {
    const type = kafkaErrorType(e);
    const isFenced = type === FENCED;
    if (isFenced || isPutOut(type)) {
      this.#memberId = "";
      this.#generation = -1;
    }
    // To join under the same id again would shut the other process out, which would then do the same.
    if (isFenced) this.options.instance?.renew();
    const wasStable = this.#state === "stable";
    this.#rejoin();
    const now_ms = this.clock.now_ms();
    this.#outSince_ms ??= now_ms;
    const isLasting = now_ms - this.#outSince_ms >= SETTLING_MS_MAX;
    if (!wasStable && isSettling(type) && !isLasting) return;
    // This takes a moment if brokers are away, and until they are back the group can hardly be joined.
    if (isSettling(type) && isLasting) await reach.tryAll();
    if (this.#hasLeft()) return;
    const failure = { type, error: e, unreachable: reach.unreachable(), stood_ms: this.#stood_ms };
    this.#stood_ms = 0;
    this.#reason = reach.withUnreachable(whyNotJoined({ ...failure, ...this.settings, group: this.options.group }));
    if (this.#toldLost) return;
    this.#toldLost = true;
    this.options.listener.onLost(this.#reason);
  }
}
