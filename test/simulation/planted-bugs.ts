/**
 * Mistakes in src, each given as a change of its text. `plant.ts` makes one of them while a file is loaded, and the
 * simulator must find it: that is how we know that the simulator can fail.
 */
interface Change {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** The invariants of docs/ARCHITECTURE.md. */
export const INVARIANTS = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10"] as const;

export interface PlantedBug extends Change {
  readonly breaks: (typeof INVARIANTS)[number];
  /** Further changes, if a second guard would catch what the first one lets through. */
  readonly also?: readonly Change[];
}

export const PLANTED_BUGS: Readonly<Record<string, PlantedBug>> = {
  "the position is committed before the rows": {
    breaks: "I2",
    file: "src/runtime/store/store.ts",
    find: "      outcomes = this.projections.flush();\n",
    replace: "      queueMicrotask(() => void this.projections.flush());\n",
  },
  "an event counts as often as it comes": {
    breaks: "I4",
    file: "src/orders/fold.ts",
    find: "if (state.eventIds.includes(`\\n${event.eventId}\\n`) || seenBefore(event.eventId))",
    replace: "if (false as boolean)",
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
    find: "if (order !== undefined) return",
    replace: "if (order === null) return",
  },
  "held updates over the bound go nowhere": {
    breaks: "I5",
    file: "src/orders/fold.ts",
    find: 'outcome: "held-overflow" };',
    replace: 'outcome: "duplicate" };',
  },
  "reading goes on one record late after a restart": {
    breaks: "I7",
    file: "src/runtime/actor/reading.ts",
    find: "this.#readOffset = this.#comparedFrom;",
    replace: "this.#readOffset = this.nextOffset === 0 ? 0 : this.nextOffset + 1;",
  },
  "dead letters leave after the commit": {
    breaks: "I6",
    file: "src/runtime/actor/applier.ts",
    find: `        if (letters.length > 0 && !(await this.#deliver(letters))) return;
        if (this.#commit(batch)) return;\n`,
    replace: "        if (this.#commit(batch)) return void (letters.length > 0 && (await this.#deliver(letters)));\n",
  },
  "dead letters are not read back": {
    breaks: "I6",
    file: "src/runtime/dead-letters/dead-letters.ts",
    find: "await searchLetters({ ...this.options, partition }, letter.record.offset, open.delivered);",
    replace: "open.delivered.begin(letter.record.offset);",
  },
  "a 404 from an index that is behind": {
    breaks: "I8",
    file: "src/services/cart/commands/cart-commands.ts",
    find: "await progress.untilEnd(placement.homes(orderId), (partition) => index.knownEnd(partition), deadline_ms);",
    replace: "await Promise.resolve();",
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
  "the wait for added partitions is measured by a clock that may run ahead": {
    breaks: "I8",
    file: "src/services/cart/placement/placement.ts",
    find: "const isDue = this.#stood === partitionCount;",
    replace: "const isDue = this.options.clock.now_ms() - this.#latestSince_ms >= this.options.settle_ms;",
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
    file: "src/services/cart/commands/cart-commands.ts",
    find: "if (first.fingerprint === fingerprint) return first;",
    replace: "return first;",
  },
  "an unknown outcome is answered as a refusal": {
    breaks: "I9",
    file: "src/log/append/appender.ts",
    find: "waiting.reject(error);",
    replace: 'waiting.reject(new AppError("LOG_UNAVAILABLE", error.message));',
  },
  "ownership is not checked before the transaction": {
    breaks: "I2",
    file: "src/runtime/actor/applier.ts",
    find: "if (!environment.isOwner() || reading",
    replace: "if (reading",
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
    find: "    this.#noteEnd(batch.endOffset);\n",
    replace: `    if (batch.endOffset < this.#endOffset) return this.options.onHalt(errors.disagrees(batch.endOffset));
    this.#noteEnd(batch.endOffset);\n`,
  },
  "a failed transaction stays open": {
    breaks: "I2",
    file: "src/runtime/store/store.ts",
    find: 'if (this.db.inTransaction) this.db.run("ROLLBACK");',
    replace: "",
  },
  "the digest depends on how the log was read": {
    breaks: "I3",
    file: "src/services/orders/state/order-projection.ts",
    find: "if (digest !== 0) this.#addToDigest",
    replace: "if (this.#touched.size > 1) this.#addToDigest",
  },
  "event ids that leave the row are forgotten": {
    breaks: "I4",
    file: "src/services/orders/state/order-projection.ts",
    find: "touched.newlySpilled.push(...eventIds);",
    replace: "",
  },
  "the door takes what the fold refuses": {
    breaks: "I1",
    file: "src/services/cart/endpoints/create-order.ts",
    find: "    pattern: PLAIN_NAME_PATTERN,\n",
    replace: "",
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
  "a 404 while the partition waits": {
    breaks: "I7",
    file: "src/services/orders/query/queries.ts",
    find: "if (atHome !== undefined && !isCaughtUp(atHome)) throw causeOf(atHome);\n  requireComplete(partitions, searched);",
    replace: "",
  },
  "a batch's fate is each record's": {
    breaks: "I9",
    file: "src/log/append/appender.ts",
    find: "const outcome = outcomes[i] as SendOutcome;",
    replace: 'const outcome = (outcomes.find((each) => !("error" in each)) ?? outcomes[i]) as SendOutcome;',
  },
  "the last record applied is not compared after a change of leader": {
    breaks: "I7",
    file: "src/runtime/actor/reading.ts",
    find: "if (wrong) this.options.onHalt(wrong);\n    return wrong === undefined;",
    replace: "this.#continuity.verified(batch.leaderEpoch);\n    return true;",
  },
  "what lies between the last record applied and the position is not looked at": {
    breaks: "I7",
    file: "src/runtime/actor/continuity.ts",
    find: "record.offset < nextOffset && !wasApplied",
    replace: "record.offset <= (last?.offset ?? -1) && !wasApplied",
  },
  "a topic made anew is not noticed": {
    breaks: "I7",
    file: "src/runtime/actor/reading.ts",
    find: "position.topicId !== topicId) {",
    replace: "position.topicId === topicId + topicId) {",
    also: [
      {
        file: "src/services/cart/index/index-progress.ts",
        find: "if (ends.topicId !== this.#topicId)",
        replace: "if (false as boolean)",
      },
      {
        file: "src/runtime/actor/reading.ts",
        find: "if (wrong) this.options.onHalt(wrong);\n    return wrong === undefined;",
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
    file: "src/services/orders/query/queries.ts",
    find: 'if (held.state === "halted" || held.doubt !== undefined) throw causeOf(held);',
    replace: "",
  },
  "a cart answers from an index that is halted": {
    breaks: "I8",
    file: "src/services/cart/index/soundness.ts",
    find: 'held !== undefined && held.isComplete && held.doubt === undefined && held.state !== "halted"',
    replace: "held !== undefined",
  },
  "one partition without a leader holds up the others' start": {
    breaks: "I7",
    file: "src/runtime/read/ends-inquiry.ts",
    find: "      ends = await log.ends(topic);\n",
    replace: "      await log.watermarks(topic);\n      ends = await log.ends(topic);\n",
  },
  "another program's open transaction is taken for a standstill": {
    breaks: "I7",
    file: "src/runtime/actor/standstill.ts",
    find: "told.stableOffset : 0",
    replace: "told.endOffset : 0",
    also: [{ file: "src/runtime/actor/standstill.ts", find: " && hindered === undefined;", replace: ";" }],
  },
};
