import { describe, expect, test } from "bun:test";
import type { PartitionActor } from "../../src/runtime/actor/actor.ts";
import { Checkpoints, LOOK_WAIT_MS } from "../../src/runtime/checkpoints.ts";
import { ManualClock } from "../support/manual-clock.ts";

const ROWS_MAX = 100;
/** Longer than the checkpoints wait until they look again. */
const LOOK_MS = 200;

/** As much of a partition as the checkpoints look at. */
interface SavedPartition {
  unsaved: number;
  state: string;
  isDue: boolean;
  saving: Promise<void> | undefined;
}

function setUp(...partitions: Partial<SavedPartition>[]) {
  const saved: number[] = [];
  const all = partitions.map((given) => ({
    unsaved: 0,
    state: "running",
    isDue: false,
    saving: undefined as Promise<void> | undefined,
    ...given,
  }));
  const saverOf = (partition: SavedPartition, n: number) => ({
    get unsaved() {
      return partition.unsaved;
    },
    get running() {
      return partition.saving;
    },
    isDue: () => partition.isDue,
    save: () => {
      saved.push(n);
      partition.isDue = false;
      partition.unsaved = 0;
    },
  });
  const clock = new ManualClock();
  const actorOf = (partition: SavedPartition, n: number) => ({
    get state() {
      return partition.state;
    },
    saver: saverOf(partition, n),
  });
  const actors = new Map(all.map((partition, n) => [n, actorOf(partition, n) as unknown as PartitionActor]));
  const checkpoints = new Checkpoints({ actors, clock, unsaved_rows_max: ROWS_MAX });
  return { all, saved, clock, checkpoints };
}

describe("partitions are saved", () => {
  test("when they are due, until the end", async () => {
    const { all, saved, clock, checkpoints } = setUp({ isDue: true }, {}, { isDue: true });
    const ending = new AbortController();
    const running = checkpoints.run(ending.signal);
    await clock.pass(LOOK_MS);
    expect(saved).toEqual([0, 2]);
    all[1]!.isDue = true;
    await clock.pass(LOOK_MS);
    expect(saved).toEqual([0, 2, 1]);
    all[0]!.isDue = true;
    ending.abort();
    await running;
    expect(saved).toEqual([0, 2, 1]);
  });

  test("one after the other, unless one takes long", async () => {
    const first = Promise.withResolvers<void>();
    const never = new Promise<void>(() => {});
    const { saved, clock, checkpoints } = setUp(
      { isDue: true, saving: first.promise },
      { isDue: true, saving: never },
      { isDue: true },
    );
    const ending = new AbortController();
    const running = checkpoints.run(ending.signal);
    await clock.pass(LOOK_WAIT_MS);
    expect(saved).toEqual([0]);
    first.resolve();
    await clock.pass(LOOK_WAIT_MS / 2);
    expect(saved).toEqual([0, 1]);
    await clock.pass(LOOK_WAIT_MS);
    expect(saved).toEqual([0, 1, 2]);
    ending.abort();
    await running;
  });
});

describe("rows that are in memory only", () => {
  test("may be as many as fit, in all partitions together", () => {
    const { saved, checkpoints } = setUp({ unsaved: 60 }, { unsaved: ROWS_MAX - 61 });
    expect(checkpoints.makeRoom()).toBeUndefined();
    expect(saved).toEqual([]);
  });

  test("are saved early where they would become more: first those of the partition that has most (I10)", () => {
    const { saved, checkpoints } = setUp({ unsaved: 30 }, { unsaved: 50 }, { unsaved: 20 });
    // The rest of the turn is others'.
    expect(checkpoints.makeRoom()).toBeInstanceOf(Promise);
    expect(saved).toEqual([1]);
    expect(checkpoints.makeRoom()).toBeUndefined();
    expect(saved).toEqual([1]);
  });

  test("are waited for while they are being saved already", () => {
    const saving = Promise.resolve();
    const { saved, checkpoints } = setUp({ unsaved: 30 }, { unsaved: 90, saving });
    expect(checkpoints.makeRoom()).toBe(saving);
    expect(saved).toEqual([]);
  });

  test("of a partition whose store fails are neither waited for nor counted: the others are saved in their turn", () => {
    const never = new Promise<void>(() => {});
    const { all, saved, checkpoints } = setUp(
      { unsaved: 500, state: "suspended", saving: never },
      { unsaved: 60 },
      { unsaved: 30 },
    );
    expect(checkpoints.makeRoom()).toBeUndefined();
    expect(saved).toEqual([]);
    all[2]!.unsaved = 70;
    expect(checkpoints.makeRoom()).toBeInstanceOf(Promise);
    expect(saved).toEqual([2]);
  });

  test("are none where there is no partition", () => {
    expect(setUp().checkpoints.makeRoom()).toBeUndefined();
  });
});
