import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { decodeEvent } from "../../src/orders/events/decode.ts";
import { isPoison } from "../../src/orders/events/poison.ts";
import type { LogRecord } from "../../src/log/port.ts";
import type { RecordBlock } from "../../src/log/record-block.ts";
import type { Projection, ProjectionStore, Saving } from "../../src/runtime/projection.ts";
import { UnsavedRows } from "../../src/runtime/unsaved-rows.ts";
import { OpenProjections } from "../../src/runtime/projections.ts";
import type { StoreDatabase } from "../../src/runtime/store/store-database.ts";
import type { StoreFiles } from "../../src/runtime/store/store-files.ts";
import { orderProjection } from "../../src/services/orders/state/order-projection.ts";
import { diskFull, filesWithFaults, isPositionWrite, type StatementFault } from "../support/stores/store-faults.ts";
import { batchOf } from "../support/events/blocks.ts";
import { orderCreated, recordOf, statusUpdated } from "../support/events/orders.ts";
import { eventually, poison, Rig } from "./rig.ts";

/** The number of orders that each customer has created. It takes no order whose id ends in 13. */
interface CustomersView {
  orders(customerId: string): number;
}

const customerProjection: Projection<CustomersView> = {
  name: "customers",
  version: 1,
  schema: `CREATE TABLE customer_orders (
    order_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL
  ) STRICT;`,
  open: ({ db }) => new CustomerStore(db),
};

class CustomerStore implements ProjectionStore<CustomersView> {
  readonly view: CustomersView;
  news: LogRecord[] = [];
  #applied = 0;
  /** The customer of each order. */
  readonly #rows: UnsavedRows<string, string>;

  constructor(db: StoreDatabase) {
    const find = db.query<{ customer_id: string }, [string]>("SELECT customer_id FROM customer_orders WHERE order_id = ?");
    const insert = db.query("INSERT INTO customer_orders VALUES (?, ?)");
    this.#rows = new UnsavedRows({
      read: (orderId) => find.get(orderId)?.customer_id,
      write: (orderId, customerId) => insert.run(orderId, customerId),
    });
    const saved = db.query<{ n: number }, [string]>("SELECT count(*) AS n FROM customer_orders WHERE customer_id = ?");
    this.view = {
      orders: (customerId) => {
        const unsaved = [...this.#rows.unsaved().values()].filter((of) => of === customerId).length;
        return (saved.get(customerId)?.n ?? 0) + unsaved;
      },
    };
  }

  get unsaved(): number {
    return this.#rows.count;
  }

  fold(one: LogRecord) {
    const event = decodeEvent(one.key, one.value);
    if (isPoison(event)) return { code: "unheard_of", detail: "No customer sends that." };
    if (event.orderId.endsWith("13")) return { code: "superstition", detail: event.orderId };
    if (event.type !== "ORDER_CREATED") return undefined;
    this.#applied++;
    this.news[this.news.length === 0 ? 0 : 1] = one;
    // A row never changes, so one that is there is not written again.
    if (this.#rows.folded(event.orderId) === undefined) this.#rows.set(event.orderId, event.order.customerId);
    return undefined;
  }

  keep() {
    const counted = { applied: 1_000, customers: this.#applied };
    this.#rows.keep();
    this.#begin();
    return counted;
  }

  reset(): void {
    this.#rows.reset();
    this.#begin();
  }

  save(): Saving {
    return this.#rows.save();
  }

  #begin(): void {
    this.#applied = 0;
    this.news = [];
  }
}

async function rigOfBoth(): Promise<Rig> {
  const rig = new Rig();
  rig.projections = [orderProjection, customerProjection];
  await rig.prepare(1);
  return rig;
}

/** The customer of all orders that the rig makes. */
const CUSTOMER = "CUST-00001";

/** The content of the store's file, whoever has it open. */
function rowsOf(rig: Rig, name = "x") {
  const db = new Database(rig.storePath(name, 0), { readonly: true });
  const count = (table: string) => db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n;
  const next = db.query<{ next_offset: number }, []>("SELECT next_offset FROM position").get()?.next_offset;
  const orders = db.query<{ orders: number }, []>("SELECT orders FROM totals").get()?.orders;
  const rows = { orders, customers: count("customer_orders"), nextOffset: next ?? 0 };
  db.close();
  return rows;
}

describe("a second projection", () => {
  test("is opened again with the first, whose checksum is compared", async () => {
    await using rig = await rigOfBoth();
    const apply = async (orderId: string) => {
      await rig.append(orderCreated({ orderId, eventId: orderId }));
      const set = rig.start("x", [0]);
      await eventually(() => set.get(0)?.view(orderProjection)?.order(orderId) !== undefined);
      expect(set.get(0)?.view(customerProjection)?.orders(CUSTOMER)).toBe(Number(orderId.slice("ORD-".length)));
      await set.close();
    };
    await apply("ORD-1");
    await apply("ORD-2");
    expect(rig.warnings).toEqual([]);
    const db = new Database(rig.storePath("x", 0));
    db.run("UPDATE totals SET orders = 7");
    db.close();
    await apply("ORD-3");
    expect(rig.warnings.join("\n")).toContain("totals and manifest is another");
  });

  test("is folded from the same records, and each is read through its own view", async () => {
    await using rig = await rigOfBoth();
    await rig.append(orderCreated(), orderCreated({ orderId: "ORD-2" }), statusUpdated({ eventId: "c", status: "shipped" }));
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.nextOffset === 3);
    expect(set.get(0)?.view(orderProjection)?.order("ORD-1")?.status).toBe("shipped");
    expect(set.get(0)?.view(customerProjection)?.orders(CUSTOMER)).toBe(2);
    expect(() => set.get(0)?.view({ ...customerProjection, name: "others" })).toThrow("others is not in the list");
  });

  const failures: [when: string, fails: (sql: string) => boolean][] = [
    ["between the rows of the two", (sql) => sql.startsWith("INSERT INTO customer_orders")],
    ["between the rows and the position", isPositionWrite],
    ["before the transaction is committed", (sql) => sql === "COMMIT"],
  ];
  test.each(failures)(
    "is saved with the first or not at all: a transaction that fails %s leaves nothing (I2)",
    async (_, fails) => {
      await using rig = await rigOfBoth();
      let isFull = true;
      const failing: StatementFault = (run) => {
        if (isFull) throw diskFull();
        return run();
      };
      const files = filesWithFaults((sql) => (fails(sql) ? failing : undefined));
      await rig.append(orderCreated(), orderCreated({ orderId: "ORD-2" }));
      const set = rig.start("x", [0], files);
      await eventually(() => set.get(0)?.state === "suspended");
      expect(rowsOf(rig)).toEqual({ orders: 0, customers: 0, nextOffset: 0 });
      // What is applied is answered from memory meanwhile.
      expect(set.get(0)?.view(customerProjection)?.orders(CUSTOMER)).toBe(2);
      isFull = false;
      await eventually(() => rowsOf(rig).nextOffset === 2);
      expect(rowsOf(rig)).toEqual({ orders: 2, customers: 2, nextOffset: 2 });
      expect(set.get(0)?.view(customerProjection)?.orders(CUSTOMER)).toBe(2);
    },
  );

  test("is rebuilt together with the first", async () => {
    await using rig = await rigOfBoth();
    await rig.append(orderCreated());
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.nextOffset === 1);
    set.rebuild(0, "an operator asked for it");
    await eventually(() => existsSync(`${rig.storePath("x", 0)}.set-aside-0`) && set.get(0)?.nextOffset === 1);
    expect(set.get(0)?.view(customerProjection)?.orders(CUSTOMER)).toBe(1);
    await set.close();
    expect(rowsOf(rig)).toEqual({ orders: 1, customers: 1, nextOffset: 1 });
  });

  test("that is added or taken away has the file that is there set aside, and all is read from the log again", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(orderCreated());
    const lists = [[orderProjection], [orderProjection, customerProjection], [orderProjection]] as const;
    for (const [n, projections] of lists.entries()) {
      rig.projections = projections;
      const set = rig.start("x", [0]);
      await eventually(() => set.get(0)?.nextOffset === 1 && set.get(0)?.state === "running");
      expect(set.get(0)?.view(orderProjection)?.order("ORD-1")?.status).toBe("new");
      if (projections.length > 1) expect(set.get(0)?.view(customerProjection)?.orders(CUSTOMER)).toBe(1);
      await set.close();
      expect(existsSync(`${rig.storePath("x", 0)}.set-aside-0`)).toBe(n > 0);
    }
  });

  test("may refuse a record by itself; one that several refuse has one letter, with the first's reason", async () => {
    await using rig = await rigOfBoth();
    await rig.append(orderCreated({ orderId: "ORD-13" }), poison(0, "{"), orderCreated({ orderId: "ORD-2" }));
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.nextOffset === 3);
    const letters = (await rig.deadLetters()).map(({ headers }) => headers.get("x-dead-letter-reason"));
    expect(letters).toEqual(["superstition", "not_json"]);
    expect(set.get(0)?.view(orderProjection)?.order("ORD-13")?.status).toBe("new");
    expect(set.get(0)?.view(customerProjection)?.orders(CUSTOMER)).toBe(1);
  });
});

describe("several projections as one", () => {
  const aStore: ProjectionStore<unknown> = {
    view: undefined,
    fold: () => undefined,
    keep: () => undefined,
    reset: () => undefined,
    unsaved: 0,
    save: () => aSaving,
  };
  const aSaving: Saving = { write: () => undefined, committed: () => undefined, abandoned: () => undefined };
  const stores = (...parts: Partial<ProjectionStore<unknown>>[]) => {
    const [first, ...others] = parts.map((part, n): Projection<unknown> => {
      const store = { ...aStore, view: n, ...part };
      return { name: `p-${n}`, version: 1, schema: "", open: () => store };
    });
    return new OpenProjections([first!, ...others], {} as StoreFiles, 0).together;
  };
  const at = (...offsets: number[]) => offsets.map((offset) => ({ offset }) as LogRecord);
  const offsets = (news: readonly LogRecord[] | undefined) => news?.map(({ offset }) => offset);

  test("tell the first and the last of all their news", () => {
    expect(offsets(stores({}, {}).news)).toBeUndefined();
    expect(offsets(stores({ news: [] }, {}).news)).toEqual([]);
    expect(offsets(stores({ news: at(4, 7) }, { news: at(5, 9) }, {}).news)).toEqual([4, 9]);
    expect(offsets(stores({ news: at(5) }, { news: at(3) }).news)).toEqual([3, 5]);
    expect(offsets(stores({ news: at(5) }, { news: at(5) }).news)).toEqual([5]);
  });

  test("have the digest of those that keep one", () => {
    expect(stores({}, {}).digest).toBeUndefined();
    expect(stores({}, { digest: "aa" }).digest).toBe("aa");
    expect(stores({ digest: "bb" }, { digest: "aa" }).digest).toBe("bb-aa");
  });

  test("count an outcome as the first that counts it", () => {
    expect(stores({}, {}).keep()).toBeUndefined();
    expect(stores({ keep: () => ({ applied: 3, dead: 1 }) }, { keep: () => ({ applied: 9, held: 2 }) }).keep()).toEqual({
      applied: 3,
      dead: 1,
      held: 2,
    });
  });

  test("have as many unsaved rows as they have together", () => {
    expect(stores({ unsaved: 3 }, { unsaved: 0 }, { unsaved: 4 }).unsaved).toBe(7);
  });

  test("are saved as one: all are synced, written, committed or given up", async () => {
    const calls: string[] = [];
    const named = (name: string, synced?: Promise<void>): Partial<ProjectionStore<unknown>> => ({
      save: () => ({
        synced,
        write: () => void calls.push(`write ${name}`),
        committed: () => void calls.push(`committed ${name}`),
        abandoned: () => void calls.push(`abandoned ${name}`),
      }),
    });
    expect(stores(named("a"), named("b")).save().synced).toBeUndefined();
    const slow = Promise.withResolvers<void>();
    const saving = stores(named("a"), named("b", slow.promise), named("c", Promise.resolve())).save();
    const synced = saving.synced?.then(() => calls.push("synced"));
    await Bun.sleep(0);
    expect(calls).toEqual([]);
    slow.resolve();
    await synced;
    saving.write();
    saving.committed();
    saving.abandoned();
    const each = (call: string) => ["a", "b", "c"].map((name) => `${call} ${name}`);
    expect(calls).toEqual(["synced", ...each("write"), ...each("committed"), ...each("abandoned")]);
  });

  test("fold a block from its bytes where they can, and refuse each record once, in the log's order", () => {
    const seen: string[] = [];
    const refuse = (name: string, offset: number) => {
      seen.push(`${name}${offset}`);
      return offset === 1 ? { code: name, detail: "" } : undefined;
    };
    const byRecord = { fold: (record: LogRecord) => refuse("a", record.offset) };
    const byBlock: Partial<ProjectionStore<unknown>> = {
      foldBlock: (block, from, onRefused) => {
        for (let n = from; n < block.count; n++) {
          const reason = refuse("b", n) ?? (n === 0 ? { code: "b", detail: "" } : undefined);
          if (reason) onRefused(block.record(n), reason);
        }
      },
    };
    const refused: string[] = [];
    const block = batchOf([recordOf(orderCreated()), recordOf(orderCreated()), recordOf(orderCreated())], 0, true)
      .blocks?.[0] as RecordBlock;
    stores(byRecord, byBlock).foldBlock?.(block, 0, ({ offset }, { code }) => void refused.push(`${offset} ${code}`));
    expect(seen).toEqual(["a0", "a1", "a2", "b0", "b1", "b2"]);
    expect(refused).toEqual(["0 b", "1 a"]);
  });

  test("of which one cannot begin to be saved: the others give up what they have begun", () => {
    const calls: string[] = [];
    const named = (name: string): Partial<ProjectionStore<unknown>> => ({
      save: () => ({ ...aSaving, abandoned: () => void calls.push(`abandoned ${name}`) }),
    });
    const failing = {
      save: () => {
        throw diskFull();
      },
    };
    expect(() => stores(named("a"), failing, named("c")).save()).toThrow("full");
    expect(calls).toEqual(["abandoned a"]);
  });
});
