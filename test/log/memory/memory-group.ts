import { AppError } from "../../../src/errors.ts";
import type { Clock } from "../../../src/system/clock.ts";
import { leavesAtStop } from "../../../src/log/group/leaving.ts";
import { shareOut, toldOf } from "../../../src/log/group/share-out.ts";
import type {
  Assignment,
  CommittedOffset,
  GroupMember,
  GroupOptions,
  Membership,
  MembershipState,
} from "../../../src/log/membership.ts";

/** Whether the others know of a member what they have to. */
const isTold = (share: GroupMember, { options }: MemoryMembership): boolean => share.endpoint === options.endpoint;

const HEARTBEATS_PER_SESSION = 10;

/** What a member can see of the world: whether its heartbeats arrive, and whether its process runs at all. */
export interface MemberConditions {
  away(): boolean;
  stalled(): boolean;
  crashed(): boolean;
}

/**
 * The coordinator of one group and topic: members join, send heartbeats, and share the partitions by `assign`. A change
 * takes effect in one step for all members, once each of them has either sent a heartbeat since or expired; until then
 * the old assignment stands. So at any moment each partition has at most one owner that may act.
 *
 * A member with an instance id that joins while an earlier one under that id is in the group takes its place, and what
 * it had, without a change for the others; the earlier one is fenced (KIP-345).
 */
export class MemoryGroup {
  /** By the id under which the members know each other. */
  readonly members = new Map<string, MemoryMembership>();
  readonly offsets = new Map<number, CommittedOffset>();
  #shares: readonly GroupMember[] = [];
  #partitionCount = 0;
  #changed = false;
  #settling = false;
  constructor(
    readonly clock: Clock,
    readonly session_ms: number,
    readonly partitionCount: () => number,
  ) {}

  join(member: MemoryMembership): void {
    this.#expire();
    const earlier = this.members.get(member.id);
    this.members.set(member.id, member);
    const share = this.#shares.find(({ id }) => id === member.id);
    if (earlier === undefined || share === undefined || this.#changed || !isTold(share, member)) this.changed();
    else member.take(share, this.#shares);
  }

  remove(member: MemoryMembership): void {
    if (this.members.get(member.id) !== member) return;
    this.members.delete(member.id);
    this.changed();
  }

  /** "unknown" if the member has expired, "fenced" if another one has taken its place. */
  heartbeat(member: MemoryMembership): "in" | "unknown" | "fenced" {
    this.#expire();
    const one = this.members.get(member.id);
    if (one !== member) return one === undefined ? "unknown" : "fenced";
    member.heartbeatSeen_ms = this.clock.now_ms();
    if (this.#changed || this.partitionCount() !== this.#partitionCount) this.changed();
    return "in";
  }

  /** A member also expires by its own silence when no other member was there to notice it. */
  #expire(): void {
    for (const one of this.members.values()) {
      if (this.clock.now_ms() - one.heartbeatSeen_ms > this.session_ms) this.remove(one);
    }
  }

  changed(): void {
    this.#changed = true;
    if (!this.#settling) void this.#settle();
  }

  async #settle(): Promise<void> {
    this.#settling = true;
    // Waiting one turn settles members that join or leave together in one step, and never from within a listener.
    await this.clock.yield();
    this.#settling = false;
    const members = [...this.members.values()];
    if (members.some((member) => !member.reachable())) return;
    this.#changed = false;
    this.#partitionCount = this.partitionCount();
    if (this.#partitionCount === 0) return;
    const described = members.map(({ id, partitions, standbys, options }) => ({
      id,
      owned: partitions,
      following: standbys,
      positions: options.localPositions(),
      ready: options.ready?.() ?? [],
      standbysPerPartition: options.standbysPerPartition ?? 0,
    }));
    const shared = shareOut(described, this.#partitionCount);
    this.#shares = members.map(({ id, options: { endpoint } }) => ({ id, endpoint, ...toldOf(shared.get(id)!) }));
    for (const [n, member] of members.entries()) member.take(this.#shares[n]!, this.#shares);
  }
}

/**
 * ```
 *   made ──start()──▶ joining
 *   joining ──assigned──▶ stable ──leave()──▶ left   (the group keeps it for a session, where it is to stay)
 *      ▲                    │
 *      └──lost: expired, or fenced: then under another id
 * ```
 */
export class MemoryMembership implements Membership {
  /** When the coordinator last heard from this member. */
  heartbeatSeen_ms: number;
  partitions: readonly number[] = [];
  standbys: readonly number[] = [];
  /** How often this member was told of an assignment. */
  generation = 0;
  /** What it was told last. */
  #assignment: Assignment | undefined;
  #state: MembershipState = "joining";
  /** When this member last had its membership confirmed, by its own clock. */
  #confirmed_ms: number;
  #isLost = false;
  #isToRejoin = false;
  readonly #left = new AbortController();
  #instanceId: string | undefined;
  constructor(
    private readonly memberId: string,
    readonly group: MemoryGroup,
    readonly options: GroupOptions,
    readonly clock: Clock,
    readonly conditions: MemberConditions,
  ) {
    this.heartbeatSeen_ms = group.clock.now_ms();
    this.#confirmed_ms = clock.now_ms();
  }

  get id(): string {
    return this.#instanceId ?? this.memberId;
  }

  start(): void {
    void this.#run();
  }

  get state(): MembershipState {
    return this.#state;
  }

  isOwner(): boolean {
    if (this.#state !== "stable" || this.conditions.crashed()) return false;
    return this.clock.now_ms() - this.#confirmed_ms <= this.group.session_ms / 2;
  }

  /** Whether the coordinator regards this member as the partition's owner and cannot have expired it. */
  isOwnerByGroup(partition: number): boolean {
    const { members, clock, session_ms } = this.group;
    const isMember = members.get(this.id) === this && clock.now_ms() - this.heartbeatSeen_ms <= session_ms;
    return isMember && this.partitions.includes(partition);
  }

  reachable(): boolean {
    return this.#state !== "left" && !this.conditions.crashed() && !this.conditions.stalled() && !this.conditions.away();
  }

  take({ partitions, standbys, warmUps }: GroupMember, members: readonly GroupMember[]): void {
    const wasAway = !this.isOwner();
    this.#state = "stable";
    this.generation++;
    this.heartbeatSeen_ms = this.group.clock.now_ms();
    this.#confirmed_ms = this.clock.now_ms();
    this.partitions = partitions;
    this.standbys = standbys;
    this.#assignment = { partitions, standbys, warmUps, wasAway, memberId: this.id, members };
    this.options.listener.onAssigned(this.#assignment);
  }

  async commit(offsets: ReadonlyMap<number, CommittedOffset>): Promise<void> {
    const { generation } = this;
    await this.group.clock.yield();
    // The coordinator refuses what a member says that is away, or that has not heard of the newest assignment.
    if (!this.reachable() || this.group.members.get(this.id) !== this || generation !== this.generation) return;
    for (const [partition, committed] of offsets) this.group.offsets.set(partition, committed);
  }

  async committed(partitions: readonly number[]): Promise<ReadonlyMap<number, CommittedOffset>> {
    await this.group.clock.yield();
    if (!this.reachable()) throw new AppError("LOG_UNAVAILABLE", "The group's coordinator cannot be reached. Try again.");
    return new Map([...this.group.offsets].filter(([partition]) => partitions.includes(partition)));
  }

  /** It asks with its next heartbeat. */
  rejoin(): void {
    this.#isToRejoin = true;
  }

  async leave(): Promise<void> {
    if (this.#state === "left") return;
    // A member that cannot reach the coordinator is expired by its silence instead.
    const stays = this.#instanceId !== undefined && !leavesAtStop(this.options.leaving ?? "always", this.#assignment);
    if (this.reachable() && !stays) this.group.remove(this);
    this.#state = "left";
    this.#left.abort();
    // One that stays still is the partitions' owner for the group.
    if (!stays) [this.partitions, this.standbys] = [[], []];
    await this.group.clock.yield();
  }

  async #run(): Promise<void> {
    const { clock, session_ms } = this.group;
    await clock.yield();
    while (!this.#left.signal.aborted && !this.conditions.crashed()) {
      if (!this.conditions.stalled()) this.#beat();
      await clock.sleep(session_ms / HEARTBEATS_PER_SESSION, this.#left.signal);
    }
  }

  #beat(): void {
    const { clock, session_ms } = this.group;
    if (this.conditions.away()) {
      // The member cannot know what the coordinator has done, so it joins anew when it is back.
      if (this.#state === "stable" && this.clock.now_ms() - this.#confirmed_ms > session_ms)
        this.#lose("no heartbeat was answered");
      return;
    }
    const heard = this.#isLost ? "unknown" : this.group.heartbeat(this);
    if (heard === "in") {
      this.#confirmed_ms = this.clock.now_ms();
      if (this.#isToRejoin) this.group.changed();
      this.#isToRejoin = false;
      return;
    }
    if (this.#state === "stable") this.#lose(heard === "fenced" ? "another process has the instance id" : "the session expired");
    if (heard === "fenced") this.options.instance?.renew();
    this.#isLost = false;
    this.heartbeatSeen_ms = clock.now_ms();
    this.#instanceId = this.options.instance?.id();
    this.group.join(this);
  }

  #lose(reason: string): void {
    this.#isLost = true;
    this.#state = "joining";
    this.options.listener.onLost(reason);
  }
}
