import type { PlantedBugs } from "./planted-bug.ts";

/** Mistakes in how snapshots are taken, kept and restored. */
export const SNAPSHOT_BUGS: PlantedBugs = {
  "a snapshot's offset is ahead of its rows": {
    breaks: "I2",
    file: "src/runtime/snapshots/taking.ts",
    find: "        part.row(row);\n",
    replace: `        part.row(row.map((cell, n) => (columns[n] === "next_offset" ? Number(cell) + 1 : cell)));\n`,
    also: [
      { file: "src/runtime/store/store.ts", find: "    requireChecksum(db, this.projections.checksum ?? 0);\n", replace: "" },
      {
        file: "src/runtime/store/store-opening.ts",
        find: "if (store.nextOffset !== expected?.nextOffset) wrong",
        replace: "if (expected === undefined) wrong",
      },
    ],
  },
  "a snapshot of a topic that was deleted is taken for one of the topic": {
    breaks: "I7",
    file: "src/runtime/snapshots/choosing.ts",
    find: "if (topicId !== undefined && ends.topicId !== undefined && topicId !== ends.topicId)",
    replace: "if (topicId === '')",
  },
  "deletion takes the only good snapshot": {
    breaks: "I7",
    file: "src/runtime/snapshots/snapshots.ts",
    find: "isFinished && name !== verified.name",
    replace: "isFinished && name !== ''",
    also: [
      {
        file: "src/runtime/snapshots/choosing.ts",
        find: "reach(manifest) < reach(verified)",
        replace: "reach(manifest) <= reach(verified)",
      },
      { file: "src/runtime/snapshots/choosing.ts", find: "let good = 1;", replace: "let good = kept;" },
    ],
  },
  "a store made of a snapshot is not compared with the log": {
    breaks: "I7",
    file: "src/runtime/actor/reading.ts",
    find: "this.#continuity.confirm(this.#comparedFrom < this.nextOffset,",
    replace: "this.#continuity.confirm(position.isRestored !== true && this.#comparedFrom < this.nextOffset,",
  },
  "a part of a snapshot that was damaged is restored": {
    breaks: "I2",
    file: "src/runtime/snapshots/restoring.ts",
    find: "if (sha256Of(stored) !== sha256)",
    replace: "if (stored.length === 0)",
  },
};
