import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { isStoreFailure } from "../../../../src/runtime/store/store-failures.ts";
import type { SortedRunsOptions } from "../../../../src/runtime/store/runs/sorted-runs.ts";
import { RunsRig } from "./runs-rig.ts";

/** What becomes of a change once everything is added and merged. */
const ends = [
  "committed",
  "committed",
  "committed",
  "dropped",
  "failed, then committed",
  "cut off before",
  "cut off after",
] as const;

interface Step {
  readonly records: readonly (readonly [number, number])[];
  readonly merges: readonly number[];
  readonly end: (typeof ends)[number];
  /** The call of the file that fails, counted from the change's first. */
  readonly failing: number | undefined;
  readonly isOpenedAnew: boolean;
}

const stepOf = (key: fc.Arbitrary<number>): fc.Arbitrary<Step> => {
  const length = fc.oneof(
    { weight: 20, arbitrary: fc.nat(120) },
    { weight: 2, arbitrary: fc.nat(5_000) },
    { weight: 1, arbitrary: fc.nat(20_000) },
  );
  return fc.record({
    records: fc.uniqueArray(fc.tuple(key, length), { selector: ([k]) => k, maxLength: 150, size: "max" }),
    merges: fc.array(fc.oneof(fc.constant(0), fc.nat(20), fc.nat(400), fc.constant(1e9)), { maxLength: 3 }),
    end: fc.constantFrom(...ends),
    failing: fc.option(fc.nat(12), { nil: undefined, freq: 6 }),
    isOpenedAnew: fc.boolean(),
  });
};

/** A failing case is made smaller for no longer than this. */
const SHRINK_MS_MAX = 30_000;

const noSpace = (): Error => Object.assign(new Error("no space left on device"), { code: "ENOSPC" });

/** Runs beside a map that says what they must hold. */
class Modelled {
  readonly rig: RunsRig;
  model = new Map<number, string>();
  #serial = 0;

  constructor(
    private readonly random: () => number,
    options: SortedRunsOptions,
  ) {
    this.rig = new RunsRig(options);
  }

  async take(step: Step): Promise<void> {
    const { rig } = this;
    const next = new Map(this.model);
    const records = new Map(step.records.map(([key, length]) => [key, `${this.#serial++}/`.padEnd(length, `${key}`)]));
    for (const [key, record] of records) next.set(key, record);
    let calls = 0;
    rig.file.fault = () => {
      if (calls++ === step.failing) throw noSpace();
    };
    if (await this.#isCommitted(step, records)) this.model = next;
    rig.file.fault = undefined;
    if (step.isOpenedAnew) rig.open();
  }

  /** Makes the change, and whatever befalls it. Returns whether its transaction was committed. */
  async #isCommitted({ merges, end }: Step, records: Map<number, string>): Promise<boolean> {
    const { rig } = this;
    const begun = rig.runs.change();
    try {
      rig.add(begun, records);
      for (const records_max of merges) begun.merge(records_max);
      begun.write();
      await rig.file.sync();
    } catch (e) {
      if (!isStoreFailure(e)) throw e;
      begun.drop();
      return false;
    }
    if (end === "dropped") begun.drop();
    if (end === "failed, then committed") this.#fail(() => begun.record());
    if (end === "cut off before") this.#fail(() => begun.record());
    if (end === "dropped" || end === "cut off before") {
      if (end === "cut off before") this.#cutOff();
      return false;
    }
    rig.commit(begun);
    if (end === "cut off after") this.#cutOff();
    else begun.adopt();
    return true;
  }

  #fail(record: () => void): void {
    const failing = this.rig.db.transaction(() => {
      record();
      throw noSpace();
    });
    expect(() => failing()).toThrow("no space");
  }

  #cutOff(): void {
    this.rig.file = this.rig.file.crash(this.random);
    this.rig.open();
  }

  check(): void {
    const { rig, model } = this;
    const sorted = [...model].toSorted(([a], [b]) => a - b);
    expect([...rig.scan()]).toEqual(sorted);
    const asked = new Set([...model.keys()].flatMap((key) => [key, key + 1]));
    expect(rig.findAll(asked)).toEqual(model);
    for (const key of [...asked].slice(0, 50)) expect(rig.find(key) === model.get(key)).toBe(true);
    const [middle] = sorted[sorted.length >> 1] ?? [0];
    expect([...rig.scan(middle)]).toEqual(sorted.filter(([key]) => key > middle));
  }
}

const cases: readonly (readonly [string, fc.Arbitrary<number>, SortedRunsOptions])[] = [
  ["few keys", fc.nat(60), {}],
  ["dense keys", fc.nat(2_000), {}],
  ["all keys", fc.maxSafeNat(), {}],
  ["no filters", fc.nat(10_000), { filter_bytes_max: 0 }],
];

test.each(cases)("runs hold what a map would, whatever befalls their changes: %s", async (_, key, options) => {
  const steps = fc.array(stepOf(key), { minLength: 1, maxLength: 40, size: "max" });
  await fc.assert(
    fc.asyncProperty(steps, fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), async (taken, chance) => {
      const modelled = new Modelled(() => chance.next().value, options);
      for (const step of taken) {
        await modelled.take(step);
        modelled.check();
      }
    }),
    { numRuns: 30, interruptAfterTimeLimit: SHRINK_MS_MAX },
  );
});
