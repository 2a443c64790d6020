import { shareOut, toldOf } from "../group/share-out.ts";
import type { CommittedOffset, GroupMember } from "../membership.ts";
import type { LogFile } from "./sqlite-file.ts";

/** Tables of their own, since the file is shared with versions that do not know them. */
const TABLES = [
  `CREATE TABLE IF NOT EXISTS group_members (
    group_name TEXT NOT NULL, topic TEXT NOT NULL, slot INTEGER NOT NULL,
    id TEXT NOT NULL, endpoint TEXT, standbys_per_partition INTEGER NOT NULL,
    positions TEXT NOT NULL, -- as JSON: [partition, next offset]
    held TEXT NOT NULL, -- the partitions that it acts for, as JSON
    following TEXT NOT NULL, -- those that it follows, as JSON
    ready TEXT NOT NULL, -- those for which it could answer at once, as JSON
    asks_anew INTEGER NOT NULL, -- 1 while it asks the leader to deal out anew
    PRIMARY KEY (group_name, topic, slot)
  ) STRICT`,
  `CREATE TABLE IF NOT EXISTS group_assignments (
    group_name TEXT NOT NULL, topic TEXT NOT NULL, generation INTEGER NOT NULL,
    partition_count INTEGER NOT NULL, members TEXT NOT NULL, -- as JSON: GroupMember
    PRIMARY KEY (group_name, topic)
  ) STRICT`,
];

/** How far a member is. */
export interface Progress {
  readonly positions: ReadonlyMap<number, number>;
  /** The partitions for which it could answer at once. */
  readonly ready: readonly number[];
}

/** A member as it is written down. */
export interface MemberRow extends Progress {
  /** The number of its lock. */
  readonly slot: number;
  readonly id: string;
  readonly endpoint: string | undefined;
  readonly standbysPerPartition: number;
  readonly held: readonly number[];
  readonly following: readonly number[];
}

/** What the leader dealt out last. */
export interface Dealt {
  readonly generation: number;
  readonly partitionCount: number;
  readonly members: readonly GroupMember[];
}

interface TableState {
  readonly dealt: Dealt | undefined;
  readonly members: readonly MemberRow[];
  readonly partitionCount: number;
  /** Whether a member asks for the partitions to be dealt out anew. */
  readonly isAsked: boolean;
}

/** What the members of one group write down for each other in the log's file. */
export class GroupTable {
  readonly #key: { readonly group: string; readonly topic: string };

  constructor(
    private readonly file: LogFile,
    group: string,
    topic: string,
  ) {
    this.#key = { group, topic };
  }

  /** Writes down a new member, which has the lock with that number: whoever was written down for it is dead. */
  async add(member: MemberRow): Promise<void> {
    await this.file.write(() => {
      for (const table of TABLES) this.file.db.run(table);
      this.file.db
        .query(
          `INSERT OR REPLACE INTO group_members VALUES ($group, $topic, $slot, $id, $endpoint, $wanted, $positions, $held, $following, $ready, 0)`,
        )
        .run({
          ...this.#key,
          slot: member.slot,
          id: member.id,
          endpoint: member.endpoint ?? null,
          wanted: member.standbysPerPartition,
          positions: JSON.stringify([...member.positions]),
          held: JSON.stringify(member.held),
          following: JSON.stringify(member.following),
          ready: JSON.stringify(member.ready),
        });
    });
  }

  async remove(id: string): Promise<void> {
    await this.file.write(() => this.#remove(id));
  }

  /** Everything as of one moment. The tables must be there. */
  read(): TableState {
    return this.file.read(() => ({
      dealt: this.#dealt(),
      members: this.#members(),
      partitionCount: partitionCount(this.file, this.#key.topic),
      isAsked: this.file.db.query(`SELECT 1 FROM group_members WHERE ${KEY} AND asks_anew = 1`).get(this.#key) !== null,
    }));
  }

  /** Has the leader deal out anew, as this member is ready for more than it was. */
  async askAnew(id: string, progress: Progress): Promise<void> {
    await this.file.write(() => {
      this.#note(id, progress);
      this.file.db.query(`UPDATE group_members SET asks_anew = 1 WHERE ${KEY} AND id = $id`).run({ ...this.#key, id });
    });
  }

  /** The leader's work: removes the members with these ids, which are dead, and deals out among the others. */
  async deal(dead: readonly string[]): Promise<void> {
    await this.file.write(() => {
      for (const id of dead) this.#remove(id);
      const count = partitionCount(this.file, this.#key.topic);
      const members = this.#members().map((each) => ({ ...each, owned: each.held }));
      const shares = shareOut(members, count);
      const told = members.map(({ id, endpoint }) => ({ id, endpoint, ...toldOf(shares.get(id)!) }));
      this.file.db.query(`UPDATE group_members SET asks_anew = 0 WHERE ${KEY}`).run(this.#key);
      this.file.db
        .query(`INSERT OR REPLACE INTO group_assignments VALUES ($group, $topic, $generation, $count, $members)`)
        .run({ ...this.#key, generation: (this.#dealt()?.generation ?? 0) + 1, count, members: JSON.stringify(told) });
    });
  }

  /**
   * Writes down that the member holds, of what it was dealt in that generation, what it kept and what nobody else holds;
   * and returns that. It must have let go of the rest. Undefined if something was dealt out since, or the member is not
   * written down any more: then nothing is changed.
   */
  async take(id: string, generation: number, kept: readonly number[]): Promise<readonly number[] | undefined> {
    return this.file.write(() => {
      const [dealt, members] = [this.#dealt(), this.#members()];
      const mine = dealt?.members.find((member) => member.id === id);
      if (mine === undefined || dealt?.generation !== generation || !members.some((member) => member.id === id)) return undefined;
      const others = heldByOthers(members, id);
      const held = mine.partitions.filter((partition) => kept.includes(partition) || !others.has(partition));
      this.file.db
        .query(`UPDATE group_members SET held = $held, following = $following WHERE ${KEY} AND id = $id`)
        .run({ ...this.#key, id, held: JSON.stringify(held), following: JSON.stringify(mine.standbys) });
      return held;
    });
  }

  /** Writes down how far the member is, and how far the group is in the partitions that it holds. */
  async commit(id: string, progress: Progress, offsets: Iterable<[number, CommittedOffset]>): Promise<void> {
    await this.file.write(() => {
      this.#note(id, progress);
      const put = this.file.db.query(
        `INSERT INTO group_offsets (group_name, topic, partition, next_offset, metadata)
         VALUES ($group, $topic, $partition, $nextOffset, $metadata)
         ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset, metadata = excluded.metadata`,
      );
      for (const [partition, { nextOffset, metadata = null }] of offsets)
        put.run({ ...this.#key, partition, nextOffset, metadata });
    });
  }

  committed(partitions: readonly number[]): Map<number, CommittedOffset> {
    const rows = this.file.read(() =>
      this.file.db
        .query<{ partition: number; nextOffset: number; metadata: string | null }, [Record<string, string>]>(
          `SELECT partition, next_offset AS nextOffset, metadata FROM group_offsets WHERE ${KEY}`,
        )
        .all(this.#key),
    );
    const asked = rows.filter(({ partition }) => partitions.includes(partition));
    return new Map(
      asked.map(({ partition, nextOffset, metadata }) => [partition, { nextOffset, metadata: metadata ?? undefined }]),
    );
  }

  #note(id: string, { positions, ready }: Progress): void {
    this.file.db
      .query(`UPDATE group_members SET positions = $positions, ready = $ready WHERE ${KEY} AND id = $id`)
      .run({ ...this.#key, id, positions: JSON.stringify([...positions]), ready: JSON.stringify(ready) });
  }

  /** Names the leader to programs of earlier versions, which wait for it. */
  async writeHolder(owner: string, wall_ms: number): Promise<void> {
    await this.file.write(() =>
      this.file.db
        .query(`INSERT OR REPLACE INTO group_holders VALUES ($group, $topic, $owner, $wall_ms)`)
        .run({ ...this.#key, owner, wall_ms }),
    );
  }

  /** The name of the process of an earlier version that holds the group. */
  holder(): string | undefined {
    return this.file.read(
      () =>
        this.file.db
          .query<{ owner: string }, [Record<string, string>]>(`SELECT owner FROM group_holders WHERE ${KEY}`)
          .get(this.#key)?.owner,
    );
  }

  #remove(id: string): void {
    this.file.db.query(`DELETE FROM group_members WHERE ${KEY} AND id = $id`).run({ ...this.#key, id });
  }

  #dealt(): Dealt | undefined {
    const row = this.file.db
      .query<{ generation: number; partition_count: number; members: string }, [Record<string, string>]>(
        `SELECT generation, partition_count, members FROM group_assignments WHERE ${KEY}`,
      )
      .get(this.#key);
    if (row === null) return undefined;
    const members = (JSON.parse(row.members) as Omit<GroupMember, "endpoint">[]).map((each) => ({
      endpoint: undefined,
      ...each,
    }));
    return { generation: row.generation, partitionCount: row.partition_count, members };
  }

  #members(): MemberRow[] {
    const rows = this.file.db
      .query<
        Record<"id" | "positions" | "held" | "following" | "ready", string> & {
          slot: number;
          endpoint: string | null;
          wanted: number;
        },
        [Record<string, string>]
      >(
        `SELECT slot, id, endpoint, standbys_per_partition AS wanted, positions, held, following, ready FROM group_members WHERE ${KEY} ORDER BY slot`,
      )
      .all(this.#key);
    return rows.map(({ slot, id, endpoint, wanted, positions, held, following, ready }) => ({
      slot,
      id,
      endpoint: endpoint ?? undefined,
      standbysPerPartition: wanted,
      positions: new Map(JSON.parse(positions) as [number, number][]),
      held: JSON.parse(held) as number[],
      following: JSON.parse(following) as number[],
      ready: JSON.parse(ready) as number[],
    }));
  }
}

export const heldByOthers = (members: readonly MemberRow[], id: string): Set<number> =>
  new Set(members.filter((member) => member.id !== id).flatMap(({ held }) => held));

const KEY = "group_name = $group AND topic = $topic";

export const partitionCount = (file: LogFile, topic: string): number =>
  file.db.query<{ count: number }, [string]>("SELECT count(*) AS count FROM partitions WHERE topic = ?").get(topic)?.count ?? 0;
