import { AssignerProtocol } from "kafkajs";
import type { Clock } from "../../clock.ts";
import type { Random } from "../../random.ts";
import { assign } from "../assignment.ts";
import { Backoff, type BackoffLimits } from "../backoff.ts";
import type { GroupOptions, Membership, MembershipState } from "../log.ts";
import { type Broker, type Cluster, type ClusterHandle, type JoinedGroup, kafkaErrorType } from "./cluster.ts";

/** The name under which our members agree on an assignment; a member with another protocol cannot join the same group. */
const PROTOCOL = "orders-sticky";
const HEARTBEATS_PER_SESSION = 10;
/** How often the leader looks whether the topic has grown. */
const PARTITIONS_WAIT_MS = 3_000;
const LEAVE_WAIT_MS_MAX = 1_000;
/** What a group answers while it is set up, moved or shared anew: no news, unless a join has failed by it for `SETTLING_MS_MAX`. */
const SETTLING = [
  "REBALANCE_IN_PROGRESS",
  "GROUP_LOAD_IN_PROGRESS",
  "GROUP_COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR_FOR_GROUP",
];
const SETTLING_MS_MAX = 5_000;

export interface MembershipSettings extends BackoffLimits {
  readonly session_timeout_ms: number;
}

/**
 * A member of a Kafka consumer group, by the classic group protocol (JoinGroup, SyncGroup, Heartbeat), which Redpanda speaks too.
 * It only decides who owns what; reading is KafkaReader's. State is a function of the log, so the partitions a member keeps go
 * on through a rebalance; only those it loses stop, and only once the new assignment is known.
 *
 * ```
 *            JoinGroup + SyncGroup              heartbeat: rebalance, unknown member, connection lost
 *  joining ───────────────────────▶ stable ─────────────────────────────────────────────▶ joining
 *     └──────────────── leave() ──────┴─────────▶ left
 * ```
 */
export class KafkaMembership implements Membership {
  #state: MembershipState = "joining";
  #memberId = "";
  #generation = -1;
  #owned: readonly number[] = [];
  /** Since when it tries in vain to be in the group, and whether the listener was told. */
  #outSince_ms: number | undefined;
  #toldLost = false;
  /** When the last heartbeat (or join) that the coordinator answered well was sent. */
  #confirmedAt_ms = Number.NEGATIVE_INFINITY;
  #coordinator: Broker | undefined;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;

  constructor(
    private readonly cluster: ClusterHandle,
    private readonly options: GroupOptions,
    private readonly settings: MembershipSettings,
    private readonly clock: Clock,
    private readonly random: Random,
    private readonly partitionCount: () => Promise<number>,
  ) {
    this.#running = this.#run();
  }

  get state(): MembershipState {
    return this.#state;
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
    const wasStable = this.#state === "stable";
    this.#state = "left";
    this.#ending.abort();
    if (wasStable && this.#coordinator) {
      const left = this.#coordinator.leaveGroup({ groupId: this.options.group, memberId: this.#memberId }).catch(() => undefined);
      await Promise.race([left, this.clock.sleep(LEAVE_WAIT_MS_MAX)]);
    }
    this.#generation = -1;
    this.cluster.close();
    await Promise.race([this.#running, this.clock.sleep(LEAVE_WAIT_MS_MAX)]);
  }

  async #run(): Promise<void> {
    const backoff = new Backoff(this.settings, this.random);
    while (!this.#left()) {
      try {
        await this.cluster.use(async (cluster) => {
          await this.#join(cluster);
          backoff.reset();
          await this.#heartbeatWhileStable(cluster);
        });
      } catch (e) {
        this.#coordinator = undefined;
        if (this.#left()) return;
        this.#fallOut(e);
        await this.clock.sleep(backoff.next_ms(), this.#ending.signal);
      }
    }
  }

  #left(): boolean {
    return this.#state === "left";
  }

  async #join(cluster: Cluster): Promise<void> {
    const { group, topic } = this.options;
    this.#coordinator = await cluster.findGroupCoordinator({ groupId: group });
    const metadata = AssignerProtocol.MemberMetadata.encode({
      version: 1,
      topics: [topic],
      userData: Buffer.from(JSON.stringify({ owned: this.#owned, local: this.options.localPartitions() })),
    });
    const joined = await this.#coordinator.joinGroup({
      groupId: group,
      sessionTimeout: this.settings.session_timeout_ms,
      rebalanceTimeout: this.settings.session_timeout_ms,
      memberId: this.#memberId,
      groupProtocols: [{ name: PROTOCOL, metadata }],
    });
    this.#memberId = joined.memberId;
    const syncSentAt_ms = this.clock.now_ms();
    const { memberAssignment } = await this.#coordinator.syncGroup({
      groupId: group,
      generationId: joined.generationId,
      memberId: joined.memberId,
      groupAssignment: joined.leaderId === joined.memberId ? await this.#assignments(joined) : [],
    });
    if (this.#left()) return;
    const assignment = AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment[topic] ?? [];
    this.#generation = joined.generationId;
    this.#confirmedAt_ms = syncSentAt_ms;
    this.#owned = assignment.toSorted((a, b) => a - b);
    this.#state = "stable";
    this.#outSince_ms = undefined;
    this.#toldLost = false;
    this.options.listener.assigned(this.#owned);
  }

  async #assignments(joined: JoinedGroup): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
    this.#assignedCount = await this.partitionCount();
    const members = joined.members.map(({ memberId, memberMetadata }) => ({ id: memberId, ...decodeUserData(memberMetadata) }));
    return [...assign(members, this.#assignedCount)].map(([memberId, partitions]) => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({
        version: 1,
        assignment: { [this.options.topic]: partitions },
        userData: Buffer.alloc(0),
      }),
    }));
  }

  /** How many partitions the last assignment covered, where this member made it; undefined where another member leads. */
  #assignedCount: number | undefined;

  /** Returns when the group asks to join again; throws when the membership or the connection is gone. */
  async #heartbeatWhileStable(cluster: Cluster): Promise<void> {
    let lookedAt_ms = this.clock.now_ms();
    while (!this.#left()) {
      await this.clock.sleep(this.settings.session_timeout_ms / HEARTBEATS_PER_SESSION, this.#ending.signal);
      if (this.#left() || !this.#coordinator) return;
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
        this.#rejoin();
        return;
      }
      if (this.#assignedCount !== undefined && sentAt_ms - lookedAt_ms >= PARTITIONS_WAIT_MS) {
        lookedAt_ms = sentAt_ms;
        await cluster.refreshMetadata();
        if (cluster.findTopicPartitionMetadata(this.options.topic).length > this.#assignedCount) {
          this.#rejoin();
          return;
        }
      }
    }
  }

  #rejoin(): void {
    if (this.#left()) return;
    this.#state = "joining";
    this.#assignedCount = undefined;
  }

  #fallOut(e: unknown): void {
    const type = kafkaErrorType((e as { cause?: unknown })?.cause ?? e);
    const forgotten = type === "UNKNOWN_MEMBER_ID" || type === "ILLEGAL_GENERATION" || type === "FENCED_INSTANCE_ID";
    if (forgotten) {
      this.#memberId = "";
      this.#generation = -1;
    }
    const wasStable = this.#state === "stable";
    this.#rejoin();
    const now_ms = this.clock.now_ms();
    this.#outSince_ms ??= now_ms;
    const isSettling = !wasStable && SETTLING.includes(type ?? "") && now_ms - this.#outSince_ms < SETTLING_MS_MAX;
    if (this.#toldLost || isSettling) return;
    this.#toldLost = true;
    this.options.listener.lost(e instanceof Error ? e.message : String(e));
  }
}

interface UserData {
  readonly owned: readonly number[];
  readonly local: readonly number[];
}

function decodeUserData(memberMetadata: Buffer): UserData {
  try {
    const userData = AssignerProtocol.MemberMetadata.decode(memberMetadata)?.userData;
    const { owned, local } = JSON.parse(String(userData)) as Partial<UserData>;
    return { owned: numbers(owned), local: numbers(local) };
  } catch {
    return { owned: [], local: [] };
  }
}

const numbers = (list: unknown): number[] => (Array.isArray(list) ? list.filter((n) => Number.isInteger(n)) : []);
