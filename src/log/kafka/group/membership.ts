import { AssignerProtocol } from "kafkajs";
import { type Clock, within } from "../../../system/clock.ts";
import type { Random } from "../../../system/random.ts";
import { assign, type AssignmentMember } from "../../group/assignment.ts";
import { Backoff, type BackoffLimits } from "../../backoff.ts";
import type { GroupOptions, Membership, MembershipState } from "../../port.ts";
import { type Broker, type JoinedGroup, joinGroupExchange } from "../connection/cluster.ts";
import type { Connections, Node } from "../connection/connections.ts";
import { findCoordinator } from "../connection/coordinator.ts";
import { isSettling, SETTLING_MS_MAX, whyNotJoined } from "./join-failures.ts";
import { kafkaErrorType } from "../protocol/errors.ts";

/**
 * The name under which our members agree on an assignment. A member with another protocol cannot join the same group.
 */
const PROTOCOL = "orders-sticky";
export const HEARTBEATS_PER_SESSION = 10;
/** How often the leader checks whether a topic has grown. */
const PARTITIONS_WAIT_MS = 3_000;
/**
 * About as long as it takes for another coordinator to replace one that ends. If a member did not leave, the new one
 * would wait a whole session for it.
 */
const LEAVE_WAIT_MS_MAX = 3_000;
const LEAVE_AGAIN_WAIT_MS = 250;
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
 *                                     (LeaveGroup, as soon as there is a member id)
 * ```
 */
export class KafkaMembership implements Membership {
  #state: MembershipState = "joining";
  #memberId = "";
  #generation = -1;
  #owned: readonly number[] = [];
  /** Since when it has tried in vain to be in the group. */
  #outSince_ms: number | undefined;
  #toldLost = false;
  /** When the last heartbeat or join was sent that the coordinator answered well. */
  #confirmedAt_ms = Number.NEGATIVE_INFINITY;
  #coordinator: Broker | undefined;
  /** Settles when the member's id is known, or when it is certain that there will be none. */
  #naming: Promise<unknown> | undefined;
  #reason: string | undefined;
  /**
   * For each topic that members read, how many partitions the last assignment covered; empty unless this member made
   * it.
   */
  #assignedCounts = new Map<string, number>();
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    private readonly connect: () => Connections,
    private readonly options: GroupOptions,
    private readonly settings: MembershipSettings,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly partitionCount: (topic: string) => Promise<number>,
  ) {}

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

  async commit(offsets: ReadonlyMap<number, number>): Promise<void> {
    const coordinator = this.#coordinator;
    if (this.#state !== "stable" || !coordinator || offsets.size === 0) return;
    const partitions = [...offsets].map(([partition, offset]) => ({ partition, offset: String(offset) }));
    await coordinator
      .offsetCommit({
        groupId: this.options.group,
        groupGenerationId: this.#generation,
        memberId: this.#memberId,
        topics: [{ topic: this.options.topic, partitions }],
      })
      .catch(() => undefined);
  }

  async leave(): Promise<void> {
    if (this.#state === "left") return;
    this.#state = "left";
    this.#ending.abort();
    const deadline_ms = this.clock.now_ms() + LEAVE_WAIT_MS_MAX;
    await within(
      this.clock,
      LEAVE_WAIT_MS_MAX,
      Promise.resolve(this.#naming).then(() => this.#leaveInTime(deadline_ms)),
    );
    this.#generation = -1;
    if (this.#running) await within(this.clock, END_WAIT_MS_MAX, this.#running);
  }

  /** A member that the group has not let go by then loses its partitions when its session ends. */
  async #leaveInTime(deadline_ms: number): Promise<void> {
    if (this.#memberId === "") return;
    while (!(await this.#tryLeave()) && this.clock.now_ms() + LEAVE_AGAIN_WAIT_MS < deadline_ms)
      await this.clock.sleep(LEAVE_AGAIN_WAIT_MS);
  }

  /**
   * Leaves on a connection of its own: while a broker holds a JoinGroup back, it answers nothing else on that
   * connection.
   */
  async #tryLeave(): Promise<boolean> {
    const { group: groupId } = this.options;
    const connections = this.connect();
    try {
      const broker = await (await findCoordinator(connections, groupId, "group")).broker();
      await broker.leaveGroup({ groupId, memberId: this.#memberId });
      return true;
    } catch (e) {
      return kafkaErrorType(e) === "UNKNOWN_MEMBER_ID";
    } finally {
      connections.close();
    }
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
    const coordinator = await node.broker();
    this.#coordinator = coordinator;
    const joined = await this.#joinGroup(node);
    this.#memberId = joined.memberId;
    const syncSentAt_ms = this.clock.now_ms();
    const { memberAssignment } = await coordinator.syncGroup({
      groupId: group,
      generationId: joined.generationId,
      memberId: joined.memberId,
      groupAssignment: joined.leaderId === joined.memberId ? await this.#assignments(joined) : [],
    });
    if (this.#hasLeft()) return;
    const assignment = AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment[topic] ?? [];
    this.#generation = joined.generationId;
    this.#confirmedAt_ms = syncSentAt_ms;
    this.#owned = assignment.toSorted((a, b) => a - b);
    this.#state = "stable";
    this.#reason = undefined;
    this.#outSince_ms = undefined;
    this.#toldLost = false;
    this.options.listener.onAssigned(this.#owned);
  }

  /**
   * A new member is given its id first and joins under it (KIP-394), so that it can leave even before the group has
   * admitted it.
   */
  async #joinGroup(node: Node): Promise<JoinedGroup> {
    const { group, topic } = this.options;
    const metadata = AssignerProtocol.MemberMetadata.encode({
      version: 1,
      topics: [topic],
      userData: Buffer.from(JSON.stringify({ owned: this.#owned, local: this.options.localPartitions() })),
    });
    const request = () =>
      node.send(
        joinGroupExchange({
          groupId: group,
          sessionTimeout: this.settings.session_timeout_ms,
          rebalanceTimeout: this.settings.session_timeout_ms,
          memberId: this.#memberId,
          groupProtocols: [{ name: PROTOCOL, metadata }],
        }),
      );
    if (this.#memberId !== "") return request();
    const first = request();
    this.#naming = first.catch((e: unknown) => {
      const { memberId } = e as { memberId?: unknown };
      if (typeof memberId === "string") this.#memberId = memberId;
    });
    await this.#naming;
    if (this.#hasLeft()) throw new Error("left while joining");
    // A broker that gives no id beforehand has answered the join itself, or refused it.
    return this.#memberId === "" ? first : request();
  }

  /** Shares each topic that members of the group read among those who read it. */
  async #assignments(joined: JoinedGroup): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
    const members = joined.members.map(({ memberId, memberMetadata }) => ({ id: memberId, ...decodeMetadata(memberMetadata) }));
    this.#assignedCounts = new Map();
    const shares = new Map(members.map(({ id }) => [id, {}]));
    for (const topic of new Set(members.flatMap(({ topics }) => topics))) {
      const count = await this.partitionCount(topic);
      this.#assignedCounts.set(topic, count);
      const readers = members.filter(({ topics }) => topics.includes(topic));
      for (const [id, partitions] of assign(readers, count)) (shares.get(id) as Record<string, number[]>)[topic] = partitions;
    }
    return [...shares].map(([memberId, assignment]) => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({ version: 1, assignment, userData: Buffer.alloc(0) }),
    }));
  }

  /** Returns when the group asks its members to join again. Throws if the membership or the connection is lost. */
  async #heartbeatWhileStable(): Promise<void> {
    let lookedAt_ms = this.clock.now_ms();
    while (!this.#hasLeft()) {
      await this.clock.sleep(this.settings.session_timeout_ms / HEARTBEATS_PER_SESSION, this.#ending.signal);
      if (this.#hasLeft() || !this.#coordinator) return;
      const sentAt_ms = this.clock.now_ms();
      try {
        await this.#coordinator.heartbeat({
          groupId: this.options.group,
          groupGenerationId: this.#generation,
          memberId: this.#memberId,
        });
        this.#confirmedAt_ms = sentAt_ms;
      } catch (e) {
        if (kafkaErrorType(e) !== "REBALANCE_IN_PROGRESS") throw e;
        this.#confirmedAt_ms = sentAt_ms;
        return this.#rejoin();
      }
      if (this.#assignedCounts.size === 0 || sentAt_ms - lookedAt_ms < PARTITIONS_WAIT_MS) continue;
      lookedAt_ms = sentAt_ms;
      if (await this.#hasGrown()) return this.#rejoin();
    }
  }

  async #hasGrown(): Promise<boolean> {
    for (const [topic, count] of this.#assignedCounts) {
      // Metadata that are unavailable now are no reason to leave the group.
      const now = await this.partitionCount(topic).catch(() => count);
      if (now > count) return true;
    }
    return false;
  }

  #rejoin(): void {
    if (this.#hasLeft()) return;
    this.#state = "joining";
    this.#assignedCounts = new Map();
  }

  async #fallOut(e: unknown, { reach }: Connections): Promise<void> {
    const type = kafkaErrorType(e);
    const forgotten = type === "UNKNOWN_MEMBER_ID" || type === "ILLEGAL_GENERATION" || type === "FENCED_INSTANCE_ID";
    if (forgotten) {
      this.#memberId = "";
      this.#generation = -1;
    }
    const wasStable = this.#state === "stable";
    this.#rejoin();
    const now_ms = this.clock.now_ms();
    this.#outSince_ms ??= now_ms;
    const isLasting = now_ms - this.#outSince_ms >= SETTLING_MS_MAX;
    if (!wasStable && isSettling(type) && !isLasting) return;
    // This takes a moment if brokers are away, and until they are back the group can hardly be joined.
    if (isSettling(type) && isLasting) await reach.tryAll();
    if (this.#hasLeft()) return;
    const why = whyNotJoined(type, e, reach.unreachable());
    this.#reason = reach.withUnreachable(`The group ${this.options.group} cannot be joined: ${why}.`);
    if (this.#toldLost) return;
    this.#toldLost = true;
    this.options.listener.onLost(this.#reason);
  }
}

type MemberMetadata = Omit<AssignmentMember, "id"> & { readonly topics: readonly string[] };

function decodeMetadata(memberMetadata: Buffer): MemberMetadata {
  try {
    const metadata = AssignerProtocol.MemberMetadata.decode(memberMetadata);
    const { owned, local } = JSON.parse(String(metadata?.userData)) as Partial<AssignmentMember>;
    return { topics: metadata?.topics ?? [], owned: numbers(owned), local: numbers(local) };
  } catch {
    return { topics: [], owned: [], local: [] };
  }
}

const numbers = (list: unknown): number[] => (Array.isArray(list) ? list.filter((n) => Number.isInteger(n)) : []);
