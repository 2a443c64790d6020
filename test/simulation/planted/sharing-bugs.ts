import type { PlantedBugs } from "./planted-bug.ts";

/** Mistakes in how carts share the index of orders. */
export const SHARING_BUGS: PlantedBugs = {
  "orders that strayed into another cart's index are not looked for": {
    breaks: "I8",
    file: "src/services/cart/sharing/coverage.ts",
    find: "return commit.nextOffset < required.offset || mayHave(commit.placedBy, partition, hash);",
    replace: "return false;",
  },
  "what was placed by fewer partitions is where it belongs by more": {
    breaks: "I8",
    file: "src/services/cart/index/strays.ts",
    find: "const counts = [count, ...(this.#counts ?? [])];",
    replace: "const counts = [count];",
    also: [
      {
        file: "src/services/cart/index/strays.ts",
        find: "counts && chosen !== undefined ? [...counts, chosen] : counts;",
        replace: "counts;",
      },
    ],
  },
  "a cart that is still reading says that it has no such order": {
    breaks: "I8",
    file: "src/services/cart/sharing/find-here.ts",
    find: "=> {\n    if (!holders.isHere(partition)) throw indexElsewhere(partition);",
    replace: "=> {",
    also: [
      {
        file: "src/services/cart/sharing/find-here.ts",
        find: "      // It may have been given away meanwhile.\n      if (!holders.isHere(partition)) throw indexElsewhere(partition);\n",
        replace: "",
      },
    ],
  },
  "a command that another cart may have carried out is answered as refused": {
    breaks: "I9",
    file: "src/fleet/hops.ts",
    find: "return { why: `nothing came for ${Math.round(wait_ms)} ms`, maybeSent: true, isSilent: true };",
    replace: "return { why: `nothing came for ${Math.round(wait_ms)} ms`, maybeSent: false, isSilent: true };",
  },
};
