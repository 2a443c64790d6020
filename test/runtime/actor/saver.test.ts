import { describe, expect, test } from "bun:test";
import { STORE_RETRY_WAIT_MS } from "../../../src/runtime/actor/applier.ts";
import { Hindrance } from "../../../src/runtime/actor/hindrance.ts";
import { SAVE_WAIT_MS, Saver } from "../../../src/runtime/actor/saver.ts";
import { Duty } from "../../../src/runtime/standby/duty.ts";
import type { PartitionStore, StoreSaving } from "../../../src/runtime/store/store.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { damage, diskFull } from "../../support/stores/store-faults.ts";

/** A store with nothing but positions, whose savings end when the test lets them. */
class Positions {
  applied = 0;
  saved = 0;
  /** How many savings were given up. */
  abandoned = 0;
  /** How many transactions were tried. */
  tried = 0;
  sync: (() => Promise<void>) | undefined;
  /** An error of the next transactions, or of the next savings before that. */
  commitFails: Error | undefined;
  saveFails: Error | undefined;
  #isSaving = false;

  get isBehind(): boolean {
    return this.applied !== this.saved;
  }

  save(): StoreSaving {
    if (this.saveFails) throw this.saveFails;
    if (this.#isSaving) throw new Error("Two savings at a time");
    this.#isSaving = true;
    const { applied } = this;
    return {
      synced: this.sync?.(),
      commit: () => {
        this.tried++;
        if (this.commitFails) throw this.commitFails;
        this.saved = applied;
        this.#isSaving = false;
      },
      abandon: () => {
        this.abandoned++;
        this.#isSaving = false;
      },
    };
  }
}

function setUp() {
  const clock = new ManualClock();
  const store = new Positions();
  const told: string[] = [];
  const ending = new AbortController();
  const owner = { is: true };
  const hindrance = new Hindrance(clock, () => undefined);
  const saver = new Saver({
    store: store as unknown as PartitionStore,
    hindrance,
    duty: new Duty("owner", clock, () => owner.is),
    environment: { clock },
    ending: ending.signal,
    onDamaged: (reason) => void told.push(`damaged: ${reason}`),
    onStoreFailed: (e) => {
      told.push(`failed: ${String(e)}`);
      hindrance.storeFailed(String(e));
    },
    onWorking: () => void told.push("works again"),
  });
  const apply = (to: number): void => {
    store.applied = to;
    saver.noteApplied();
  };
  const isDue = () => saver.isDue(clock.now_ms());
  return { clock, store, told, ending, owner, saver, apply, isDue };
}

describe("a partition is saved", () => {
  test("some time after the first record was applied that is not saved, and not again before more is applied", async () => {
    const { clock, store, saver, apply, isDue } = setUp();
    expect(isDue()).toBe(false);
    apply(1);
    await clock.pass(SAVE_WAIT_MS - 1);
    apply(2);
    expect(isDue()).toBe(false);
    await clock.pass(1);
    expect(isDue()).toBe(true);
    saver.save();
    expect(isDue()).toBe(false);
    await saver.running;
    expect(store.saved).toBe(2);
    await clock.pass(10 * SAVE_WAIT_MS);
    expect(isDue()).toBe(false);
    apply(3);
    await clock.pass(SAVE_WAIT_MS);
    expect(isDue()).toBe(true);
  });

  test("only if something is applied that is not saved", async () => {
    const { store, saver } = setUp();
    saver.save();
    expect(saver.running).toBeUndefined();
    await saver.end();
    expect(store.tried).toBe(0);
  });

  test("once what lies beside the database is on disk", async () => {
    const { clock, store, saver, apply } = setUp();
    const disk = Promise.withResolvers<void>();
    store.sync = () => disk.promise;
    apply(1);
    saver.save();
    await clock.pass(0);
    expect([store.tried, store.saved]).toEqual([0, 0]);
    disk.resolve();
    await saver.running;
    expect(store.saved).toBe(1);
  });

  test("up to where it was when the saving began; one that is wanted meanwhile follows it", async () => {
    const { store, saver, apply, clock, isDue } = setUp();
    const disk = Promise.withResolvers<void>();
    store.sync = () => disk.promise;
    apply(1);
    saver.save();
    apply(2);
    await clock.pass(SAVE_WAIT_MS);
    expect(isDue()).toBe(false);
    const first = saver.running;
    saver.save();
    disk.resolve();
    await first;
    await clock.pass(0);
    expect([store.saved, store.tried]).toEqual([2, 2]);
  });

  test("and is due again if more was applied during the saving", async () => {
    const { store, saver, apply, clock, isDue } = setUp();
    const disk = Promise.withResolvers<void>();
    store.sync = () => disk.promise;
    apply(1);
    saver.save();
    apply(2);
    disk.resolve();
    await saver.running;
    expect(store.saved).toBe(1);
    await clock.pass(SAVE_WAIT_MS);
    expect(isDue()).toBe(true);
  });
});

describe("a store that fails", () => {
  test.each([
    ["before anything is written", (store: Positions, e?: Error) => (store.saveFails = e)],
    ["in its transaction", (store: Positions, e?: Error) => (store.commitFails = e)],
    ["while the disk is waited for", (store: Positions, e?: Error) => (store.sync = e && (() => Promise.reject(e)))],
  ] as const)("%s is said to, and tried again until it works; nothing is lost", async (_, fail) => {
    const { clock, store, told, saver, apply } = setUp();
    fail(store, diskFull());
    apply(1);
    saver.save();
    await clock.pass(0);
    expect(saver.isFailing).toBe(true);
    expect(told).toEqual(["failed: Error: database or disk is full"]);
    fail(store, diskFull());
    await clock.pass(STORE_RETRY_WAIT_MS - 1);
    expect(told).toHaveLength(1);
    await clock.pass(1);
    expect([told.length, saver.isFailing]).toEqual([2, true]);
    fail(store);
    await clock.pass(STORE_RETRY_WAIT_MS);
    expect([store.saved, saver.isFailing]).toEqual([1, false]);
    expect(told.slice(2)).toEqual(["works again"]);
  });

  test("gives up what it had begun to write, each time", async () => {
    const { clock, store, saver, apply } = setUp();
    store.commitFails = diskFull();
    apply(1);
    saver.save();
    await clock.pass(0);
    await clock.pass(STORE_RETRY_WAIT_MS);
    expect([store.tried, store.abandoned]).toEqual([2, 2]);
    store.commitFails = undefined;
    await clock.pass(STORE_RETRY_WAIT_MS);
    expect([store.tried, store.abandoned, store.saved]).toEqual([3, 2, 1]);
  });

  test("is not waited for by who waits for the saving under way", async () => {
    const { clock, store, saver, apply } = setUp();
    const disk = Promise.withResolvers<void>();
    store.sync = () => disk.promise;
    apply(1);
    saver.save();
    let isOver = false;
    void saver.running?.then(() => (isOver = true));
    await clock.pass(0);
    expect(isOver).toBe(false);
    disk.reject(diskFull());
    await clock.pass(0);
    expect([isOver, saver.isFailing, saver.running]).toEqual([true, true, undefined]);
  });

  test("is not due while it is tried again by itself", async () => {
    const { clock, store, saver, apply, isDue } = setUp();
    store.commitFails = diskFull();
    apply(1);
    saver.save();
    await clock.pass(SAVE_WAIT_MS);
    expect(isDue()).toBe(false);
  });

  test("because it is damaged is not tried again, nor at the end", async () => {
    const { clock, store, told, saver, apply } = setUp();
    store.commitFails = damage();
    apply(1);
    saver.save();
    await clock.pass(0);
    await clock.pass(10 * STORE_RETRY_WAIT_MS);
    await saver.end();
    expect(told).toEqual(["damaged: Error: database disk image is malformed"]);
    expect([store.tried, store.abandoned, saver.isFailing]).toEqual([1, 1, false]);
  });
});

describe("a partition that has another owner", () => {
  test("is not saved (I2), and loses nothing: it is saved once it is owned again", async () => {
    const { clock, store, told, owner, saver, apply, isDue } = setUp();
    apply(1);
    owner.is = false;
    saver.save();
    await saver.running;
    expect([store.tried, store.abandoned, store.saved]).toEqual([0, 1, 0]);
    expect([saver.isFailing, told]).toEqual([false, []]);
    owner.is = true;
    await clock.pass(SAVE_WAIT_MS);
    expect(isDue()).toBe(true);
    saver.save();
    await saver.running;
    expect(store.saved).toBe(1);
  });

  test("is not saved either if it was lost while the disk was waited for (I2)", async () => {
    const { store, owner, saver, apply } = setUp();
    const disk = Promise.withResolvers<void>();
    store.sync = () => disk.promise;
    apply(1);
    saver.save();
    owner.is = false;
    disk.resolve();
    await saver.running;
    expect([store.tried, store.abandoned, store.saved]).toEqual([0, 1, 0]);
  });
});

describe("at the end", () => {
  test("what is applied is saved once more, behind the saving under way", async () => {
    const { store, saver, apply } = setUp();
    const disk = Promise.withResolvers<void>();
    store.sync = () => disk.promise;
    apply(1);
    saver.save();
    apply(2);
    const ended = saver.end();
    expect(saver.end()).toBe(ended);
    disk.resolve();
    await ended;
    expect([store.saved, store.tried]).toEqual([2, 2]);
  });

  test("a store that fails is tried once more, and nobody is told: the log has what cannot be saved", async () => {
    const { clock, store, told, ending, saver, apply } = setUp();
    store.commitFails = diskFull();
    apply(1);
    saver.save();
    await clock.pass(0);
    ending.abort();
    await saver.end();
    expect([store.tried, told.length]).toEqual([2, 1]);
    await clock.pass(10 * STORE_RETRY_WAIT_MS);
    expect(store.tried).toBe(2);
  });
});
