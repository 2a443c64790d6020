import { assign, type AssignmentMember, byId, compareRanks } from "./assignment.ts";
import type { GroupMember } from "../membership.ts";
import { planStandbys, type StandbyMember } from "./standbys.ts";

/** One member of a group, with all that matters for what it is to own and to follow. */
export interface SharingMember extends AssignmentMember, StandbyMember {
  /**
   * The partitions that it could answer for at once: it owns them and has caught up, or follows them and has. Undefined
   * for a program of an earlier version, which does not tell: it is taken to answer for what it owns.
   */
  readonly ready: readonly number[] | undefined;
  /** Whether it is about to leave and gives away what it has. Absent: no. */
  readonly isRetiring?: boolean | undefined;
  /** Whether it has not joined for this sharing out, so that what it told is of an earlier one. Absent: no. */
  readonly isSilent?: boolean | undefined;
}

/** What one member gets, in ascending order. */
export interface Share {
  readonly partitions: readonly number[];
  readonly standbys: readonly number[];
  /** Those of the standbys for which another member stays in place, as owner or as standby, until they have caught up. */
  readonly warmUps: readonly number[];
}

/** A share as members are told of it. */
export const toldOf = ({ warmUps, ...share }: Share): Pick<GroupMember, keyof Share> =>
  warmUps.length === 0 ? share : { ...share, warmUps };

/** So many partitions a member warms up at once, so that it keeps up with those that it has already. */
export const WARM_UPS_MAX = 4;

/**
 * Shares the partitions among the members, so that nobody's questions remain unanswered for it (KIP-441). `assign` says
 * who is to own each partition in the end. As long as that member would have to read first, while another one could
 * answer at once, the partition is with that other one, and the member follows it: it warms up. It asks the group to
 * share out anew when it has caught up. Where nobody could answer, the member gets the partition without further ado. A
 * member that retires gets nothing, unless all do. One that is silent answers for nothing: what others could answer for
 * goes to them, and what only it has stays with it, as it may be back soon.
 *
 * Standbys are placed as if all aims were reached, and move in the same way: whoever follows a partition and has caught
 * up goes on as long as it would have too few copies without.
 *
 * It is a pure function of the set of members; their order does not matter.
 */
export function shareOut(all: readonly SharingMember[], partitionCount: number): Map<string, Share> {
  const staying = all.filter(({ isRetiring = false }) => !isRetiring);
  const members = staying.length === 0 ? all : staying;
  const sorted = byId(members).map((member) => new Sharing(member));
  const aims = assign(weighed(sorted), partitionCount);
  const aimOf = new Map(sorted.flatMap((member) => aims.get(member.told.id)!.map((partition) => [partition, member] as const)));
  const { wanted, ranked } = planStandbys(members, aims);
  const named = new Map(sorted.map((member) => [member.told.id, member]));
  for (let partition = 0; partition < partitionCount; partition++) {
    const aim = aimOf.get(partition);
    if (aim === undefined) continue;
    const holder = aim.isReady(partition) ? aim : (bestReady(sorted, partition) ?? silentOwner(sorted, partition) ?? aim);
    holder.partitions.push(partition);
    if (holder !== aim) aim.awaited.push(partition);
    const others = (ranked.get(partition) ?? []).map((id) => named.get(id)!);
    placeFollowers(partition, { wanted, others, holder, next: holder === aim || !aim.canFollow ? undefined : aim });
  }
  const shares = new Map<string, Share>(all.map(({ id }) => [id, { partitions: [], standbys: [], warmUps: [] }]));
  for (const member of sorted) shares.set(member.told.id, member.share());
  return shares;
}

interface Placing {
  readonly wanted: number;
  /** All who could follow the partition in the end, the first `wanted` of whom are to. */
  readonly others: readonly Sharing[];
  readonly holder: Sharing;
  /** Who is to own it once that has caught up, if it is another one. */
  readonly next: Sharing | undefined;
}

/** Chooses who follows the partition now, so that it keeps the copies that it has, up to those that are wanted. */
function placeFollowers(partition: number, { wanted, others, holder, next }: Placing): void {
  const aims = others.slice(0, wanted).filter((member) => member !== holder);
  const more = others.slice(wanted).filter((member) => member !== holder);
  const ready = aims.filter((member) => member.isReady(partition));
  const kept = more.filter((member) => member.isReady(partition)).slice(0, Math.max(0, wanted - ready.length));
  for (const member of [...ready, ...kept]) member.followed.push(partition);
  for (const member of aims) {
    if (ready.includes(member)) continue;
    if (kept.length > 0) member.awaited.push(partition);
    if (ready.length + kept.length < wanted) member.followed.push(partition);
  }
  const missing = Math.max(0, wanted - aims.length - kept.length);
  const rest = [...(next === undefined ? [] : [next]), ...more.filter((member) => !kept.includes(member))];
  for (const member of rest.slice(0, missing)) member.followed.push(partition);
}

class Sharing {
  readonly partitions: number[] = [];
  /** What it follows whether or not somebody waits for it. */
  readonly followed: number[] = [];
  /** For what somebody else stays in place until it has caught up. */
  readonly awaited: number[] = [];
  readonly #ready: ReadonlySet<number>;
  readonly #owned: ReadonlySet<number>;
  readonly #following: ReadonlySet<number>;

  constructor(readonly told: SharingMember) {
    this.#ready = new Set(told.isSilent === true ? [] : (told.ready ?? told.owned));
    this.#owned = new Set(told.owned);
    this.#following = new Set(told.following);
  }

  /** A program of an earlier version cannot. */
  get canFollow(): boolean {
    return this.told.standbysPerPartition !== undefined;
  }

  isReady(partition: number): boolean {
    return this.#ready.has(partition);
  }

  /** Whether it could answer for it if it came back. */
  isAwayWith(partition: number): boolean {
    return this.told.isSilent === true && this.owns(partition) && this.told.ready?.includes(partition) !== false;
  }

  owns(partition: number): boolean {
    return this.#owned.has(partition);
  }

  position(partition: number): number {
    return this.told.positions.get(partition) ?? -1;
  }

  share(): Share {
    const warmUps = this.canFollow ? this.#warmUps() : [];
    const standbys = [...new Set([...this.followed, ...warmUps])].toSorted((a, b) => a - b);
    return { partitions: this.partitions, standbys, warmUps };
  }

  /** Those that it follows already come first, then those that are furthest, so that each is warmed up once. */
  #warmUps(): readonly number[] {
    const rank = (partition: number) => (this.#following.has(partition) ? 0 : 1);
    return this.awaited
      .toSorted((a, b) => rank(a) - rank(b) || this.position(b) - this.position(a) || a - b)
      .slice(0, WARM_UPS_MAX)
      .toSorted((a, b) => a - b);
  }
}

/**
 * Counts whoever is ready as about as far as anybody is, since what it lags is read in no time, and whoever is not as
 * behind them, however near it was when it last looked.
 */
function weighed(members: readonly Sharing[]): AssignmentMember[] {
  const furthest = new Map<number, number>();
  for (const { told } of members)
    for (const [partition, position] of told.positions) furthest.set(partition, Math.max(position, furthest.get(partition) ?? 0));
  return members.map((member) => {
    const { id, owned, positions, ready = [] } = member.told;
    const weighedOf = (partition: number) => {
      const [position, most] = [member.position(partition), furthest.get(partition) ?? 0];
      return member.isReady(partition) ? Math.max(position, most - 1) : Math.min(position, most - 2);
    };
    const partitions = new Set([...positions.keys(), ...ready]);
    return { id, owned, positions: new Map([...partitions].map((partition) => [partition, weighedOf(partition)])) };
  });
}

/** The member that is to answer for the partition until its next owner can: its owner, or else a standby. */
function bestReady(members: readonly Sharing[], partition: number): Sharing | undefined {
  const rank = (member: Sharing) => [member.owns(partition) ? 0 : 1, -member.position(partition), member.partitions.length];
  const ready = members.filter((member) => member.isReady(partition));
  return ready.toSorted((a, b) => compareRanks(rank(a), rank(b)))[0];
}

const silentOwner = (members: readonly Sharing[], partition: number): Sharing | undefined =>
  members.find((member) => member.isAwayWith(partition));
