import type { PlantedBugs } from "./planted-bug.ts";

/** Mistakes in following partitions without owning them, and in taking them over. */
export const STANDBY_BUGS: PlantedBugs = {
  "a standby appends dead letters": {
    breaks: "I6",
    file: "src/runtime/actor/applier.ts",
    find: "if (duty.isStandby) return (await duty.whenAppended(lastOffsetOf(letters.at(-1)!.record))) || this.#forget();",
    replace: "",
  },
  "a standby passes a dead letter that the owner has not appended": {
    breaks: "I6",
    file: "src/runtime/standby/duty.ts",
    find: "if (this.#commit !== undefined && offset < this.#commit.nextOffset) return Promise.resolve(true);",
    replace: "if (this.isStandby) return Promise.resolve(true);",
  },
  "a letter counts as appended at the very offset that is committed": {
    breaks: "I6",
    file: "src/runtime/standby/duty.ts",
    find: "this.#waiting.offset < commit.nextOffset",
    replace: "this.#waiting.offset <= commit.nextOffset",
  },
  "a standby takes over without a look at the log": {
    breaks: "I7",
    file: "src/runtime/actor/actor.ts",
    find: 'if (duty === "owner") return this.#reading?.beginAnew(true);',
    replace: 'if (duty === "owner") return this.#reading?.forget();',
  },
  "a standby answers 404": {
    breaks: "I7",
    file: "src/services/orders/query/known-order.ts",
    find: "if (order === undefined || age_ms === undefined) return undefined;",
    replace:
      "if (age_ms === undefined) return undefined;\n    if (order === undefined) return { nextOffset, startedAt, hasRow: false, details: undefined, doubt: undefined };",
    also: [
      {
        file: "src/services/orders/query/unsettled.ts",
        find: "if (details === undefined) return false;",
        replace: "if (details === undefined) return !isKnown(before);",
      },
    ],
  },
  "what a standby tells is said to be new": {
    breaks: "I7",
    file: "src/services/orders/query/order-search.ts",
    find: "age_ms: stale.age_ms + since_ms,",
    replace: "age_ms: since_ms,",
  },
};
