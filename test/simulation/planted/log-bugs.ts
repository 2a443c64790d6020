import { type PlantedBugs, WITHOUT_THE_LOGS_END } from "./planted-bug.ts";

/** Mistakes in reading the log, and in what is answered while it changes. */
export const LOG_BUGS: PlantedBugs = {
  "reading goes on one record late after a restart": {
    breaks: "I7",
    file: "src/runtime/actor/reading.ts",
    find: "this.#readOffset = this.#comparedFrom;",
    replace: "this.#readOffset = this.nextOffset === 0 ? 0 : this.nextOffset + 1;",
  },
  "time within a process is the wall clock's": {
    breaks: "I10",
    file: "src/system/clock.ts",
    find: "Math.floor(passed_ms + gained_ms)",
    replace: "Math.floor(wall_ms())",
  },
  "that the machine slept is not noticed": {
    breaks: "I2",
    file: "src/system/clock.ts",
    find: "if (newLead_ms >= lead_ms + GAIN_MS_MIN) gained_ms += newLead_ms - lead_ms;",
    replace: "",
  },
  "an end that goes back halts the partition": {
    breaks: "I7",
    file: "src/runtime/actor/reading.ts",
    find: "    this.#knownEnd.note(batch, this.nextOffset);\n",
    replace: `    if (batch.endOffset < this.#knownEnd.endOffset) return this.options.onHalt(errors.disagrees(batch.endOffset));
    this.#knownEnd.note(batch, this.nextOffset);\n`,
  },
  "a 404 while the partition waits": {
    breaks: "I7",
    file: "src/services/orders/query/trust.ts",
    find: "return isWhole && (!isHome || isCaughtUp(held)) ? undefined : causeOf(held);",
    replace: "return undefined;",
    also: [WITHOUT_THE_LOGS_END],
  },
  "the last record applied is not compared after a change of leader": {
    breaks: "I7",
    file: "src/runtime/actor/reading.ts",
    find: "if (wrong) this.options.onHalt(wrong);\n    return wrong === undefined && this.#hasExpected(batch);",
    replace: "this.#continuity.verified(batch.leaderEpoch);\n    return true;",
  },
  "what a killed process had answered from is not compared": {
    breaks: "I7",
    file: "src/runtime/actor/reading.ts",
    find: "    if (lost !== undefined) this.options.onHalt(errors.disagrees(lost, this.options.position.path));\n    return lost === undefined;",
    replace: "    return lost === undefined || true;",
  },
  "what lies between the last record applied and the position is not looked at": {
    breaks: "I7",
    file: "src/runtime/actor/continuity.ts",
    find: "recordsBefore(batch, nextOffset)",
    replace: "recordsBefore(batch, (last?.offset ?? -1) + 1)",
  },
  "a topic made anew is not noticed": {
    breaks: "I7",
    file: "src/runtime/actor/reading.ts",
    find: "position.topicId !== topicId) {",
    replace: "position.topicId === topicId + topicId) {",
    also: [
      {
        file: "src/services/cart/index/index-progress.ts",
        find: "if (newest.topicId !== this.#topicId)",
        replace: "if (false as boolean)",
      },
      {
        file: "src/runtime/actor/reading.ts",
        find: "if (wrong) this.options.onHalt(wrong);\n    return wrong === undefined && this.#hasExpected(batch);",
        replace: "this.#continuity.verified(batch.leaderEpoch);\n    return true;",
      },
    ],
  },
  "an end is waited for that the log has lost": {
    breaks: "I10",
    file: "src/runtime/actor/catch-up.ts",
    find: ": Math.min(goal, stableOffset)",
    replace: ": goal",
  },
  "rows are answered that the log has lost": {
    breaks: "I7",
    file: "src/services/orders/query/trust.ts",
    find: 'state !== "halted" && doubt === undefined && hasBeenComplete',
    replace: "true",
  },
  "a 404 rests on an end of the log that was heard before the request": {
    breaks: "I8",
    ...WITHOUT_THE_LOGS_END,
  },
  "one partition without a leader holds up the others' start": {
    breaks: "I7",
    file: "src/runtime/read/ends-inquiry.ts",
    find: "      ends = await log.ends(topic);\n",
    replace: "      await log.watermarks(topic);\n      ends = await log.ends(topic);\n",
  },
  "another program's open transaction is taken for a standstill": {
    breaks: "I7",
    file: "src/runtime/read/standstill.ts",
    find: "told.stableOffset : 0",
    replace: "told.endOffset : 0",
    also: [{ file: "src/runtime/read/standstill.ts", find: " && hindered === undefined;", replace: ";" }],
  },
};
