import type { PlantedBugs } from "./planted-bug.ts";

/** Mistakes in dead letters. */
export const LETTER_BUGS: PlantedBugs = {
  "the bytes of a batch are written over while its letters are appended": {
    breaks: "I6",
    file: "src/runtime/read/read-loop.ts",
    find: "if (this.#apply(actor, batch)) batch.release?.();",
    replace: "this.#apply(actor, batch);\n          batch.release?.();",
  },
  "dead letters leave after the position": {
    breaks: "I6",
    file: "src/runtime/actor/applier.ts",
    find: "        if (letters.length > 0 && !(await this.#deliver(letters))) return;\n",
    replace: `        if (letters.length > 0) {
          this.#keep(batch);
          saver.save();
          return void (await this.#deliver(letters));
        }\n`,
  },
  "a batch with letters is visible before they are appended": {
    breaks: "I6",
    file: "src/runtime/actor/applier.ts",
    find: "    store.projections.reset();\n    const { term } = duty;\n",
    replace: "    store.projections.keep();\n    const { term } = duty;\n",
  },
  "a letter at the very position of a restart is not read back": {
    breaks: "I6",
    file: "src/runtime/dead-letters/target-search.ts",
    find: "claim.offset >= this.from",
    replace: "claim.offset > this.from",
  },
  "dead letters are not read back": {
    breaks: "I6",
    file: "src/runtime/dead-letters/letter-search.ts",
    find: "for (const search of this.#targets) {",
    replace: "for (const search of [] as TargetSearch[]) {",
  },
  "what another owner appended meanwhile is not read back": {
    breaks: "I6",
    file: "src/runtime/dead-letters/target-search.ts",
    find: "while (range.high < endOffset) {",
    replace: "while (range.high < 0) {",
  },
  "a letter that is refused is dropped": {
    breaks: "I6",
    file: "src/runtime/dead-letters/dead-letters.ts",
    find: 'if (!isAppError(e, "EVENT_TOO_LARGE")) throw e;',
    replace: "return;",
  },
  "a letter that is too large is tried for ever": {
    breaks: "I10",
    file: "src/runtime/dead-letters/dead-letters.ts",
    find: "fittingLetter(whole, letter_bytes_max - BATCH_HEAD_BYTES)",
    replace: "whole",
  },
  "a letter that somebody else wrote silences ours": {
    breaks: "I6",
    file: "src/runtime/dead-letters/delivered-letters.ts",
    find: "?.some((claim) => isOf(claim, record)) ?? false",
    replace: " !== undefined",
  },
  "an undecodable batch halts its partition": {
    breaks: "I6",
    file: "src/runtime/actor/fold-batch.ts",
    find: "    const { undecodable } = record;\n",
    replace: "    const { undecodable } = record;\n    if (undecodable) throw new Error(undecodable.reason);\n",
  },
};
