import type { PlantedBugs } from "./planted-bug.ts";

/** Mistakes in commands, appends and the index of orders. */
export const CART_BUGS: PlantedBugs = {
  "a 404 from an index that is behind": {
    breaks: "I8",
    file: "src/services/cart/commands/cart-commands.ts",
    find: "await progress.untilEnd(placement.homes(orderId), (partition) => index.knownEnd(partition), deadline_ms);",
    replace: "[];",
  },
  "a create is first without reading what lies before it": {
    breaks: "I8",
    file: "src/services/cart/index/order-index.ts",
    find: "this.knownEnd(partition) < offset",
    replace: "offset < 0",
  },
  "a create of another cart, read meanwhile, is overlooked": {
    breaks: "I8",
    file: "src/services/cart/index/own-creates.ts",
    find: "create.contended = true",
    replace: "create.contended = false",
  },
  "own creates are forgotten before the index has them": {
    breaks: "I8",
    file: "src/services/cart/index/own-creates.ts",
    find: "if (position && position.offset >= nextOffset(position.partition)) break;",
    replace: "",
  },
  "added partitions are used at once": {
    breaks: "I8",
    file: "src/services/cart/placement/placement.ts",
    find: "const isDue = ",
    replace: "const isDue = true || ",
  },
  "an unknown outcome is answered as success": {
    breaks: "I1",
    file: "src/log/append/appender.ts",
    find: "waiting.reject(error);",
    replace: "waiting.resolve({ offset: 0, leaderEpoch: 0 });",
  },
  "a retry does not know its first try": {
    breaks: "I9",
    file: "src/services/cart/index/index-projection.ts",
    find: ".update(`idempotency-key\\n${key}`)",
    replace: ".update(crypto.getRandomValues(new Uint8Array(16)))",
  },
  "a key answers whatever is asked under it": {
    breaks: "I9",
    file: "src/services/cart/commands/first-event.ts",
    find: "if (first.fingerprint === fingerprint) return first;",
    replace: "return first;",
  },
  "an unknown outcome is answered as a refusal": {
    breaks: "I9",
    file: "src/log/append/appender.ts",
    find: "waiting.reject(error);",
    replace: 'waiting.reject(new AppError("LOG_UNAVAILABLE", error.message));',
  },
  "an abandoned saving of the index is forgotten": {
    breaks: "I8",
    file: "src/services/cart/index/index-projection.ts",
    find: "        this.#unsaved = entries;\n",
    replace: "",
  },
  "the index answers from what is saved alone": {
    breaks: "I8",
    file: "src/services/cart/index/index-rows.ts",
    find: "const unsaved = this.#unsaved.get(name);",
    replace: "const unsaved = this.#unsaved.get(-1);",
  },
  "the door takes what the fold refuses": {
    breaks: "I1",
    file: "src/services/cart/endpoints/create-order.ts",
    find: "    pattern: PLAIN_NAME_PATTERN,\n",
    replace: "",
  },
  "a batch's fate is each record's": {
    breaks: "I9",
    file: "src/log/append/appender.ts",
    find: "const outcome = outcomes[i] as SendOutcome;",
    replace: 'const outcome = (outcomes.find((each) => !("error" in each)) ?? outcomes[i]) as SendOutcome;',
  },
  "a cart answers from an index that is halted": {
    breaks: "I8",
    file: "src/services/cart/index/soundness.ts",
    find: 'held !== undefined && held.isComplete && held.doubt === undefined && held.state !== "halted"',
    replace: "held !== undefined",
  },
};
