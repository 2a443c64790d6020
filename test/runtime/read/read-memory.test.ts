import { expect, test } from "bun:test";
import { ReadLoop, type ReadLoopOptions } from "../../../src/runtime/read/read-loop.ts";
import { systemClock } from "../../../src/system/clock.ts";

/** A loop that reads for one partition; the first fetch fails with the error, and a second one ends the loop. */
async function read(error: Error): Promise<unknown[]> {
  const failures: unknown[] = [];
  const ending = new AbortController();
  let fetches = 0;
  const fetch = async () => {
    if (++fetches > 1) ending.abort();
    throw error;
  };
  const options = {
    log: { reader: () => ({ fetch, isThrottled: false, close: async () => undefined }) },
    actors: new Map([[0, { wanted: 0 }]]),
    isOwner: () => true,
    failures: { records: { failed: (e: unknown) => failures.push(e) } },
    restoreMeter: {},
    backoff: { backoff_ms_min: 1, backoff_ms_max: 1 },
    clock: systemClock,
    random: () => 0,
  };
  await new ReadLoop(options as unknown as ReadLoopOptions).run(ending.signal);
  return failures;
}

test("reading goes on after a failure, but not where there is no memory for what is read: the process ends by that", async () => {
  const lost = new Error("The connection was lost.");
  expect(await read(lost)).toEqual([lost]);
  await expect(read(new RangeError("Out of memory"))).rejects.toThrow("Out of memory");
});
