import type { PlantedBugs } from "./planted-bug.ts";

/** Mistakes in the fold of events into orders. */
export const FOLD_BUGS: PlantedBugs = {
  "an event counts as often as it comes": {
    breaks: "I4",
    file: "src/orders/event-ids.ts",
    find: "if (words[i + 3] === d && words[i + 2] === c && words[i + 1] === b && words[i] === a) return true;",
    replace: "",
  },
  "held updates are applied backwards": {
    breaks: "I5",
    file: "src/orders/fold.ts",
    find: "for (const change of held) {",
    replace: "for (const change of held.toReversed()) {",
  },
  "the last create wins": {
    breaks: "I4",
    file: "src/orders/fold.ts",
    find: "if (state.order !== undefined) return",
    replace: "if (state.order === null) return",
  },
  "held updates over the bound go nowhere": {
    breaks: "I5",
    file: "src/orders/fold.ts",
    find: 'outcome: "held-overflow" };',
    replace: 'outcome: "duplicate" };',
  },
};
