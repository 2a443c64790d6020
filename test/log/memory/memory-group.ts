import type { Clock } from "../../../src/system/clock.ts";
import { assign } from "../../../src/log/group/assignment.ts";
import type { GroupOptions, Membership, MembershipState } from "../../../src/log/port.ts";

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
 */
export class MemoryGroup {
  readonly members = new Map<string, MemoryMembership>();
  #partitionCount = 0;
  #changed = false;
  #settling = false;
  constructor(
    readonly clock: Clock,
    readonly session_ms: number,
    readonly partitionCount: () => number,
  ) {}

  join(member: MemoryMembership): void {
    this.members.set(member.id, member);
    this.changed();
  }

  remove(member: MemoryMembership): void {
    if (this.members.delete(member.id)) this.changed();
  }

  /** False if the member has expired and is no longer in the group. */
  heartbeat(member: MemoryMembership): boolean {
    // A member also expires by its own silence when no other member was there to notice it.
    for (const one of this.members.values()) {
      if (this.clock.now_ms() - one.heartbeatSeen_ms > this.session_ms) this.remove(one);
    }
    if (!this.members.has(member.id)) return false;
    member.heartbeatSeen_ms = this.clock.now_ms();
    if (this.#changed || this.partitionCount() !== this.#partitionCount) this.changed();
    return true;
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
    const assignment = assign(
      members.map((member) => ({ id: member.id, owned: member.partitions, local: member.options.localPartitions() })),
      this.#partitionCount,
    );
    for (const member of members) member.take(assignment.get(member.id)!);
  }
}

/**
 * ```
 *   made ──start()──▶ joining
 *   joining ──assigned──▶ stable ──leave()──▶ left
 *      ▲                    │
 *      └──lost: expired─────┘
 * ```
 */
export class MemoryMembership implements Membership {
  /** When the coordinator last heard from this member. */
  heartbeatSeen_ms: number;
  partitions: readonly number[] = [];
  readonly offsets = new Map<number, number>();
  #state: MembershipState = "joining";
  /** When this member last had its membership confirmed, by its own clock. */
  #confirmed_ms: number;
  #isLost = false;
  readonly #left = new AbortController();
  constructor(
    readonly id: string,
    readonly group: MemoryGroup,
    readonly options: GroupOptions,
    readonly clock: Clock,
    readonly conditions: MemberConditions,
  ) {
    this.heartbeatSeen_ms = group.clock.now_ms();
    this.#confirmed_ms = clock.now_ms();
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

  take(partitions: readonly number[]): void {
    this.#state = "stable";
    this.heartbeatSeen_ms = this.group.clock.now_ms();
    this.#confirmed_ms = this.clock.now_ms();
    this.partitions = partitions;
    this.options.listener.onAssigned(partitions);
  }

  async commit(offsets: ReadonlyMap<number, number>): Promise<void> {
    await this.group.clock.yield();
    // A member that no longer owns the partition must not commit: only its new owner may.
    if (!this.isOwner()) return;
    for (const [partition, nextOffset] of offsets) this.offsets.set(partition, nextOffset);
  }

  async leave(): Promise<void> {
    if (this.#state === "left") return;
    // A member that cannot reach the coordinator is expired by its silence instead.
    if (this.reachable()) this.group.remove(this);
    this.#state = "left";
    this.#left.abort();
    this.partitions = [];
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
    if (this.group.heartbeat(this) && !this.#isLost) {
      this.#confirmed_ms = this.clock.now_ms();
      return;
    }
    if (this.#state === "stable") this.#lose("the session expired");
    this.#isLost = false;
    this.heartbeatSeen_ms = clock.now_ms();
    this.group.join(this);
  }

  #lose(reason: string): void {
    this.#isLost = true;
    this.#state = "joining";
    this.options.listener.onLost(reason);
  }
}
