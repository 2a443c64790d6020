import type { PlantedBugs } from "./planted-bug.ts";

/** Mistakes in what follows behind: what is applied, kept in memory and saved. */
export const STORE_BUGS: PlantedBugs = {
  "rows and position are committed one after the other": {
    breaks: "I2",
    file: "src/runtime/store/store.ts",
    find: "      rows.write();\n",
    replace: "      rows.write();\n      this.#commit.run();\n      this.#begin.run();\n",
  },
  "the position is saved ahead of its rows": {
    breaks: "I2",
    file: "src/runtime/store/store.ts",
    find: "this.#commitTogether(rows, { nextOffset, last, isLastOfAll, digest }),",
    replace: "this.#commitTogether(rows, { nextOffset: this.nextOffset ?? 0, last: this.last, isLastOfAll, digest }),",
  },
  "ownership is not checked before a batch is kept": {
    breaks: "I2",
    file: "src/runtime/actor/applier.ts",
    find: "if (ending.aborted || !duty.mayApply() || reading",
    replace: "if (ending.aborted || reading",
  },
  "answers come from rows that a lost ownership threw away": {
    breaks: "I2",
    file: "src/runtime/actor/applier.ts",
    find: "reading.accepted !== batch) return void this.#forget();\n    const record",
    replace: "reading.accepted !== batch) return void (store.projections.keep(), this.#forget());\n    const record",
  },
  "rows are answered before the log has told what came after them": {
    breaks: "I7",
    file: "src/services/orders/query/trust.ts",
    find: " && hasBeenComplete",
    replace: "",
  },
  "the database is never synced": {
    breaks: "I2",
    file: "src/services/orders/state/order-rows.ts",
    find: ", this.#syncDatabase()]",
    replace: "]",
  },
  "a partition whose store fails goes on": {
    breaks: "I10",
    file: "src/runtime/actor/actor.ts",
    find: "(opened.applier.isApplying || opened.saver.isFailing)",
    replace: "opened.applier.isApplying",
  },
  "nothing is saved by time": {
    breaks: "I2",
    file: "src/runtime/checkpoints.ts",
    find: "if (saver?.isDue(clock.now_ms()) !== true) continue;",
    replace: "if (saver === undefined || clock.now_ms() >= 0) continue;",
  },
  "a saving that failed is never given up": {
    breaks: "I2",
    file: "src/runtime/actor/saver.ts",
    find: "saving?.abandon();",
    replace: "",
  },
  "the manifest is committed before the bytes are synced": {
    breaks: "I2",
    file: "src/runtime/actor/saver.ts",
    find: "if (saving.synced) await saving.synced;",
    replace: "",
  },
  "a sync that failed is taken for done": {
    breaks: "I2",
    file: "src/runtime/actor/saver.ts",
    find: "if (saving.synced) await saving.synced;",
    replace: "await saving.synced?.catch(() => undefined);",
  },
  "rows are not synced": {
    breaks: "I2",
    file: "src/services/orders/state/order-rows.ts",
    find: "this.#files.map((file) => file.sync())",
    replace: "this.#files.slice(1).map((file) => file.sync())",
  },
  "what creates said is not synced": {
    breaks: "I2",
    file: "src/services/orders/state/order-rows.ts",
    find: "this.#files.map((file) => file.sync())",
    replace: "this.#files.slice(0, 1).map((file) => file.sync())",
  },
  "the generation is written after the sync": {
    breaks: "I2",
    file: "src/services/orders/state/order-rows.ts",
    find: "      for (const stamp of this.#stamps) stamp.write();\n    } catch",
    replace: "    } catch",
    also: [
      {
        file: "src/services/orders/state/order-rows.ts",
        find: ".then(() => undefined);",
        replace: ".then(() => this.#stamps.forEach((stamp) => stamp.write()));",
      },
    ],
  },
  "the digest is saved ahead of its rows": {
    breaks: "I3",
    file: "src/services/orders/state/order-projection.ts",
    find: "orders, { digest: this.#digest, orders: this.#orders, held: this.#held }",
    replace: `orders, ((now: () => number[]) => ({
        get digest() { return now()[0] as number; }, get orders() { return now()[1] as number; }, get held() { return now()[2] as number; },
      }))(() => [this.#digest, this.#orders, this.#held])`,
  },
  "freed blocks are written over before the commit": {
    breaks: "I2",
    file: "src/runtime/store/runs/runs-change.ts",
    find: "const writer = this.#newWriter(n === this.#slots.length - 1);",
    replace: `for (const { segments } of inputs) for (const { blocks } of segments) blocks.forEach((block) => this.parts.space.give(block));
      const writer = this.#newWriter(n === this.#slots.length - 1);`,
    also: [
      {
        file: "src/runtime/store/runs/runs-change.ts",
        find: "this.#freed.push(segment.blocks[block] as number);",
        replace: "",
      },
    ],
  },
  "after a restart, blocks in use count as free": {
    breaks: "I2",
    file: "src/runtime/store/runs/manifest.ts",
    find: "for (const slot of slots) takeBlocks(slot, space);",
    replace: "",
  },
  "what was folded and not kept is saved": {
    breaks: "I2",
    file: "src/services/orders/state/order-rows.ts",
    find: "#writeRecord(out: ByteWriter, { kept, spilled }: CachedOrder)",
    replace: "#writeRecord(out: ByteWriter, { state: kept, spilled }: CachedOrder)",
    also: [
      {
        file: "src/runtime/actor/applier.ts",
        find: "    store.projections.reset();\n    const { term } = duty;\n",
        replace: "    const { term } = duty;\n",
      },
    ],
  },
  "an abandoned saving is forgotten": {
    breaks: "I2",
    file: "src/services/orders/state/order-projection.ts",
    find: "        for (const order of orders) {\n          if (order.isUnsaved) continue;",
    replace: "        for (const order of orders) {\n          if (!order.isUnsaved) continue;",
  },
  "creates of an unkept batch stay": {
    breaks: "I3",
    file: "src/services/orders/state/creates.ts",
    find: "    this.#tail.at = this.#keptTo - this.savedTo;\n",
    replace: "",
  },
  "creates that come during a saving are mixed up": {
    breaks: "I2",
    file: "src/services/orders/state/creates.ts",
    find: "    bytes.copyWithin(0, to - this.savedTo, at);\n",
    replace: "",
  },
  "creates that a failed sync was to write are not written again": {
    breaks: "I2",
    file: "src/services/orders/state/creates.ts",
    find: "    if (length > 0) this.file.write(this.#tail.bytes, 0, length, this.savedTo);\n",
    replace: `    const from = Math.max(0, (this.writtenTo ?? 0) - this.savedTo);
    if (length > from) this.file.write(this.#tail.bytes, from, length - from, this.savedTo + from);
    this.writtenTo = this.#keptTo;\n`,
    also: [
      {
        file: "src/services/orders/state/creates.ts",
        find: "  #keptTo: number;\n",
        replace: "  #keptTo: number;\n  writtenTo: number | undefined;\n",
      },
    ],
  },
  "orders are forgotten before they are saved": {
    breaks: "I2",
    file: "src/services/orders/state/cached-orders.ts",
    find: "    for (const order of unsaved) this.#orders.set(order.name, order);\n",
    replace: "",
  },
  "orders are forgotten while a saving has them": {
    breaks: "I2",
    file: "src/services/orders/state/order-projection.ts",
    find: "if (!this.#isSaving) this.#forgetSaved();",
    replace: "this.#forgetSaved();",
  },
  "event ids leave memory before they are saved": {
    breaks: "I4",
    file: "src/services/orders/state/order-projection.ts",
    find: "for (const order of orders) order.isUnsaved = false;",
    replace: "for (const order of orders) [order.isUnsaved, order.newlySpilled] = [false, undefined];",
  },
  "after a restart, older rows come before newer ones": {
    breaks: "I2",
    file: "src/runtime/store/runs/manifest.ts",
    find: "ORDER BY age DESC, run DESC",
    replace: "ORDER BY age, run",
  },
  "a position counts as reached once the log is known to have it": {
    breaks: "I7",
    file: "src/runtime/actor/actor.ts",
    find: "if (this.nextOffset >= offset || this.#isEnded) return Promise.resolve(this.nextOffset >= offset);",
    replace: "if (this.endOffset >= offset || this.#isEnded) return Promise.resolve(this.endOffset >= offset);",
  },
  "a failed transaction stays open": {
    breaks: "I2",
    file: "src/runtime/store/store.ts",
    find: 'if (this.#db.inTransaction) this.#db.run("ROLLBACK");',
    replace: "",
  },
  "the digest depends on how the log was read": {
    breaks: "I3",
    file: "src/services/orders/state/order-projection.ts",
    find: "this.#digest = digestSum(this.#digest, this.#counted);",
    replace: "if (this.#touched.length > 1) this.#digest = digestSum(this.#digest, this.#counted);",
  },
  "event ids that leave the row are forgotten": {
    breaks: "I4",
    file: "src/services/orders/state/spill-event-ids.ts",
    find: "(order.newlySpilled ??= new SpilledIds()).add(eventIds);",
    replace: "(order.newlySpilled ??= new SpilledIds()).add(eventIds.map((id) => id + '?'));",
  },
};
