import type { Clock } from "../../system/clock.ts";
import type { NewUuid } from "../../system/random.ts";
import type { CommittedOffset, GroupMember, GroupOptions, Membership, MembershipState } from "../membership.ts";
import { GroupLocks } from "./group-locks.ts";
import { type Dealt, GroupTable, heldByOthers, type Progress } from "./group-table.ts";
import type { LogFile } from "./sqlite-file.ts";

/** How often a member looks what was dealt out, and what others have let go. */
const LOOK_WAIT_MS = 100;
/** How often the leader looks who is dead, and the others whether the leader is. */
const LEADER_LOOKS = 2;
/** How often a member looks whether a program of an earlier version still holds the group. */
const HOLDER_WAIT_MS = 250;
/** A program of an earlier version that waits, too, is in the way for a moment; one that holds the group is for longer. */
const HOLDER_TRIES = 3;

export interface SqliteMembershipOptions {
  readonly path: string;
  readonly file: LogFile;
  readonly clock: Clock;
  readonly newUuid: NewUuid;
  readonly owner: string;
  readonly group: GroupOptions;
}

/**
 * Membership of a group on the embedded log: the processes of a machine share the partitions. They write down in the
 * log's file who they are and what they hold; whoever has the leader's lock deals out.
 *
 * ```
 *  made ──start()──▶ waiting    while a program of an earlier version holds the group alone
 *            the shared lock, a member's lock, written down
 *         ─────────▶ joining ──dealt out──▶ stable          each of them ──leave()──▶ left
 *                       ▲                     │
 *                       └── struck off ───────┘   (somebody removed its lock's file)
 *
 *  a partition: held by A ── dealt to B ─▶ A tells its listener ─▶ A writes that it let go ─▶ B writes that it holds it
 *                                                                                            ─▶ B tells its listener
 * ```
 *
 * A partition has a next owner only when the earlier one has written that it let go, or is dead: its lock is free. So
 * whoever is written down as holding a partition is its owner, and a stopped process stays it. A crash at any step leaves
 * a dead member, whose row the leader removes.
 */
export class SqliteMembership implements Membership {
  #state: MembershipState = "joining";
  #reason: string | undefined;
  readonly #options: SqliteMembershipOptions;
  readonly #leaving = new AbortController();
  readonly #locks: GroupLocks;
  readonly #table: GroupTable;
  #id = "";
  /** The partitions that this member acts for; none before it was dealt some. */
  #held: readonly number[] = [];
  #generation = 0;
  #isLeader = false;
  #ended: Promise<void> | undefined;

  constructor(options: SqliteMembershipOptions) {
    const { path, file, group } = options;
    this.#options = options;
    this.#locks = new GroupLocks(path, group.group, group.topic);
    this.#table = new GroupTable(file, group.group, group.topic);
  }

  start(): void {
    this.#ended = this.#run();
  }

  get state(): MembershipState {
    return this.#state;
  }

  get reason(): string | undefined {
    return this.#state === "joining" ? this.#reason : undefined;
  }

  isOwner(): boolean {
    return this.#state === "stable";
  }

  async commit(offsets: ReadonlyMap<number, CommittedOffset>): Promise<void> {
    if (!this.isOwner()) return;
    // For a partition that another member holds, that member's offset counts.
    const own = [...offsets].filter(([partition]) => this.#held.includes(partition));
    await this.#table.commit(this.#id, this.#told(), own);
  }

  async committed(partitions: readonly number[]): Promise<ReadonlyMap<number, CommittedOffset>> {
    return this.#table.committed(partitions);
  }

  rejoin(): void {
    if (this.isOwner()) void this.#table.askAnew(this.#id, this.#told()).catch(() => undefined);
  }

  /** How far this member is, and for what it could answer at once. */
  #told(): Progress {
    const { localPositions, ready } = this.#options.group;
    return { positions: localPositions(), ready: ready?.() ?? [] };
  }

  async leave(): Promise<void> {
    this.#state = "left";
    this.#leaving.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    await this.#options.clock.yield();
    try {
      await this.#waitForHolder();
      while (!this.#hasLeft()) {
        if (await this.#add()) await this.#share();
        await this.#options.clock.sleep(LOOK_WAIT_MS, this.#leaving.signal);
      }
    } finally {
      this.#state = "left";
      // Whoever is not removed is found dead by its lock.
      if (this.#id !== "") await this.#table.remove(this.#id).catch(() => undefined);
      this.#locks.release();
    }
  }

  #hasLeft(): boolean {
    return this.#leaving.signal.aborted;
  }

  async #waitForHolder(): Promise<void> {
    const { clock, group } = this.#options;
    let told: string | undefined;
    for (let tries = 1; !this.#hasLeft(); tries++) {
      const problem = this.#tryLock(() => this.#locks.shared.tryShare());
      if (problem === undefined) break;
      const name = problem || this.#holder();
      if (tries >= HOLDER_TRIES && name !== told) {
        this.#state = "waiting";
        group.listener.onWaiting(name);
        told = name;
      }
      await clock.sleep(told === undefined ? LOOK_WAIT_MS : HOLDER_WAIT_MS, this.#leaving.signal);
    }
    if (!this.#hasLeft()) this.#state = "joining";
  }

  /** Undefined if the lock was taken, "" if another process has it, else a sentence that says why it cannot be tried. */
  #tryLock(take: () => boolean): string | undefined {
    try {
      return take() ? undefined : "";
    } catch (e) {
      return `nobody: the lock file ${this.#locks.shared.path} cannot be locked (${String(e)}); check its directory`;
    }
  }

  #holder(): string {
    try {
      return this.#table.holder() ?? "another process";
    } catch {
      return "another process";
    }
  }

  /** Writes this member down. Returns false if that is to be tried again. */
  async #add(): Promise<boolean> {
    const { newUuid, group } = this.#options;
    const { endpoint, standbysPerPartition = 0 } = group;
    try {
      const slot = this.#locks.takeMember();
      if (slot === undefined) throw new Error("too many processes are in it");
      const id = newUuid();
      await this.#table.add({ slot, id, endpoint, standbysPerPartition, ...this.#told(), held: [], following: [] });
      this.#id = id;
      this.#reason = undefined;
      return true;
    } catch (e) {
      this.#locks.releaseMember();
      this.#reason = `The group ${group.group} cannot be joined: ${e instanceof Error ? e.message : String(e)}.`;
      return false;
    }
  }

  /** Returns when the member has left, or was struck off. */
  async #share(): Promise<void> {
    const { clock } = this.#options;
    for (let looks = 0; !this.#hasLeft(); looks++) {
      try {
        if (looks % LEADER_LOOKS === 0) await this.#lead();
        if (!(await this.#look())) return this.#struckOff();
      } catch {
        // The file cannot be read or written now. What is held stays held; the readers report the failure.
      }
      await clock.sleep(LOOK_WAIT_MS, this.#leaving.signal);
    }
  }

  /** Deals out if this member is the leader, or can be, and something has changed. */
  async #lead(): Promise<void> {
    const { owner, clock } = this.#options;
    if (!this.#isLeader) {
      if (!this.#locks.leader.tryTake()) return;
      this.#isLeader = true;
      await this.#table.writeHolder(owner, clock.wall_ms());
    }
    const { dealt, members, partitionCount, isAsked } = this.#table.read();
    if (partitionCount === 0) return;
    const dead = members.filter(({ id, slot }) => id !== this.#id && this.#locks.isDead(slot)).map(({ id }) => id);
    const living = members.filter(({ id }) => !dead.includes(id));
    const isAsDealt = Bun.deepEquals(new Set(living.map(({ id }) => id)), new Set(dealt?.members.map(({ id }) => id)));
    if (isAsDealt && !isAsked && dead.length === 0 && dealt?.partitionCount === partitionCount) return;
    await this.#table.deal(dead);
  }

  /** Lets go and takes what was dealt out. Returns false if this member is not written down any more. */
  async #look(): Promise<boolean> {
    const { dealt, members } = this.#table.read();
    if (!members.some(({ id }) => id === this.#id)) return false;
    const mine = dealt?.members.find(({ id }) => id === this.#id);
    if (dealt === undefined || mine === undefined) return true;
    const others = heldByOthers(members, this.#id);
    const canTake = mine.partitions.some((partition) => !this.#held.includes(partition) && !others.has(partition));
    if (dealt.generation === this.#generation && !canTake) return true;
    const kept = this.#held.filter((partition) => mine.partitions.includes(partition));
    // What is let go is told before it is written down: after that, another member may hold it.
    if (kept.length < this.#held.length) this.#tell(dealt, mine, kept);
    const held = await this.#table.take(this.#id, dealt.generation, kept);
    if (held === undefined || this.#hasLeft()) return true;
    this.#generation = dealt.generation;
    this.#state = "stable";
    this.#tell(dealt, mine, held);
    return true;
  }

  #tell({ members }: Dealt, { standbys, warmUps }: GroupMember, partitions: readonly number[]): void {
    const wasAway = this.#held.length === 0;
    this.#held = partitions;
    this.#options.group.listener.onAssigned({ partitions, standbys, warmUps, wasAway, memberId: this.#id, members });
  }

  #struckOff(): void {
    if (this.#hasLeft()) return;
    this.#state = "joining";
    this.#held = [];
    this.#locks.releaseMember();
    this.#reason =
      "Another process took this one for dead: the file of its lock beside the log was removed. It joins the group again.";
    this.#options.group.listener.onLost(this.#reason);
  }
}
