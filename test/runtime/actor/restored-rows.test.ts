import { expect, test } from "bun:test";
import { Hindrance } from "../../../src/runtime/actor/hindrance.ts";
import { Reading } from "../../../src/runtime/actor/reading.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { AppliedMark } from "../../../src/runtime/store/position/applied-mark.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { MemoryFiles } from "../../support/stores/memory-files.ts";
import { saveAt } from "../../support/stores/save-at.ts";

const open = (files: MemoryFiles): PartitionStore => new PartitionStore(files, ORDER_SERVICE_PROJECTIONS, 0, () => undefined);

/** A store that is saved up to offset 5. */
async function saved(isRestored: boolean) {
  const files = new MemoryFiles(ORDER_SERVICE_PROJECTIONS);
  await saveAt(open(files), 5);
  new AppliedMark(files.bytes("applied"), 0).write({ nextOffset: 5, last: undefined, isRestored });
  return files;
}

/** Whether the rows count as complete where the log does not say where the partition ends. */
function isComplete(position: PartitionStore): boolean {
  const reading = new Reading({
    partition: 0,
    position,
    hindrance: new Hindrance(systemClock, () => undefined),
    environment: { clock: systemClock, onWarning: () => undefined },
    onHalt: (error) => {
      throw error;
    },
  });
  reading.hear(reading.question, { topicId: "topic", partitions: [{ unavailable: "It has no leader." }] });
  return reading.isComplete;
}

test.each([true, false])("rows that are of a snapshot (%p) are not complete while the log tells no end", async (isRestored) => {
  expect(isComplete(open(await saved(isRestored)))).toBe(!isRestored);
});

test("rows of a snapshot are like any other once the log's end was reached, after a restart too", async () => {
  const files = await saved(true);
  const store = open(files);
  store.keep(6, undefined);
  expect(open(files).isRestored).toBe(true);
  store.reachedEnd();
  expect(open(files).isRestored).toBe(false);
});
