import type { Assignment, GroupMember } from "../log/membership.ts";
import { type Clock, within } from "../system/clock.ts";

/** Another member of the fleet that can be asked. */
export interface Peer {
  readonly id: string;
  /** Without a slash at its end. */
  readonly url: string;
}

/**
 * The members of the fleet and what each of them owns, as the last assignment told it.
 *
 * ```
 *  nobody known ──assigned()──▶ version 1 ──assigned()──▶ version 2 …
 * ```
 *
 * A member that falls out of the group keeps what it knew: whoever it asks answers for what that one holds, and says so
 * when it no longer does.
 */
export class Members {
  version = 0;
  /** This member's own id in the group; undefined until it is assigned partitions for the first time. */
  self: string | undefined;
  /** How many partitions were dealt out; 0 if the members are not told. */
  partitionCount = 0;
  #all: readonly GroupMember[] = [];
  #owners = new Map<number, GroupMember>();
  #holders = new Map<number, readonly Peer[]>();
  #changed = Promise.withResolvers<void>();

  constructor(private readonly clock: Clock) {}

  assigned({ memberId, members }: Assignment): void {
    this.self = memberId;
    this.#take(members);
  }

  get all(): readonly GroupMember[] {
    return this.#all;
  }

  /** The members other than this one that said where they can be asked. */
  get peers(): Peer[] {
    return this.#all.flatMap((member) => this.#peer(member) ?? []);
  }

  /**
   * Who owns the partition: another member, this one, or nobody, if it was added since the partitions were dealt out.
   * Undefined if the group does not tell who, or where that one can be asked.
   */
  ownerOf(partition: number): Peer | "self" | "nobody" | undefined {
    const owner = this.#owners.get(partition);
    if (owner === undefined) return this.partitionCount > 0 && partition >= this.partitionCount ? "nobody" : undefined;
    return owner.id === this.self ? "self" : this.#peer(owner);
  }

  /** The other members that own the partition or follow it, the owner first, and last who is only warming up for it. */
  holdersOf(partition: number): readonly Peer[] {
    return this.#holders.get(partition) ?? [];
  }

  /** Who can be asked that follows the partition; whoever is only warming up for it comes last. */
  followersOf(partition: number): Peer[] {
    const owner = this.#owners.get(partition)?.id;
    return this.holdersOf(partition).filter(({ id }) => id !== owner);
  }

  /** Whether some member follows the partition, this one included. */
  isFollowed(partition: number): boolean {
    return this.#all.some(({ standbys }) => standbys.includes(partition));
  }

  /** Resolves with whether there is a newer assignment than `version`, after `wait_ms_max` at the latest. */
  async newerThan(version: number, wait_ms_max: number): Promise<boolean> {
    if (this.version === version && wait_ms_max > 0) await within(this.clock, wait_ms_max, this.#changed.promise);
    return this.version !== version;
  }

  #take(members: readonly GroupMember[]): void {
    this.version++;
    this.#all = members;
    this.#owners = new Map(members.flatMap((member) => member.partitions.map((partition) => [partition, member])));
    this.partitionCount = [...this.#owners.keys()].reduce((count, partition) => Math.max(count, partition + 1), 0);
    this.#holders = this.#holdersIn(members);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Whoever is only warming up for a partition comes last. */
  #holdersIn(members: readonly GroupMember[]): Map<number, Peer[]> {
    const holders = new Map<number, Peer[]>();
    const add = (member: GroupMember, partitions: readonly number[]): void => {
      const peer = this.#peer(member);
      for (const partition of peer ? partitions : []) {
        const known = holders.get(partition);
        if (known === undefined) holders.set(partition, [peer as Peer]);
        else known.push(peer as Peer);
      }
    };
    for (const member of members) add(member, member.partitions);
    for (const member of members)
      add(
        member,
        member.standbys.filter((partition) => !member.warmUps?.includes(partition)),
      );
    for (const member of members) add(member, member.warmUps ?? []);
    return holders;
  }

  #peer({ id, endpoint }: GroupMember): Peer | undefined {
    return id === this.self || endpoint === undefined ? undefined : { id, url: endpoint };
  }
}
