import { initialState, type OrderState } from "../../../orders/fold.ts";
import type { OrderName } from "../../../orders/order-key.ts";
import type { SpilledIds } from "./spilled-ids.ts";
import type { StoreMemory } from "../../../runtime/store/store-memory.ts";

/** An order in memory. Its states are values, so a new one takes the place of the one before. */
export class CachedOrder {
  /** With everything that was folded. */
  state: OrderState = initialState;
  /** With everything that is kept: what queries see. */
  kept: OrderState = initialState;
  /** Whether the store's file lacks some of what is kept, and no saving has it. */
  isUnsaved = false;
  /** Whether the store's file has a record of the order. */
  isStored = false;
  /** How many event ids have left the record, with those of `newlySpilled`. */
  spilled = 0;
  /** How many had when the order was last kept. */
  keptSpilled = 0;
  /** The ids that have left the record and are not saved in the table. */
  newlySpilled: SpilledIds | undefined = undefined;

  constructor(readonly name: OrderName) {}
}

/**
 * The orders of a partition that are in memory: those that are not saved, and others that were touched lately.
 *
 * ```
 *  (not here) ──add()──▶ here ──forgetSaved(), unless it is unsaved──▶ (not here)
 * ```
 */
export class CachedOrders {
  #orders = new Map<OrderName, CachedOrder>();

  constructor(private readonly memory: StoreMemory) {}

  get(name: OrderName): CachedOrder | undefined {
    return this.#orders.get(name);
  }

  add(order: CachedOrder): void {
    this.#orders.set(order.name, order);
    this.memory.cachedRows++;
  }

  delete(name: OrderName): void {
    if (this.#orders.delete(name)) this.memory.cachedRows--;
  }

  /** Forgets the orders but for those given, if the stores of the process have too many in memory. */
  forgetSaved(unsaved: readonly CachedOrder[]): void {
    if (!this.memory.isFull) return;
    this.memory.cachedRows += unsaved.length - this.#orders.size;
    this.#orders = new Map();
    for (const order of unsaved) this.#orders.set(order.name, order);
  }

  clear(): void {
    this.memory.cachedRows -= this.#orders.size;
    this.#orders = new Map();
  }

  all(): Iterable<CachedOrder> {
    return this.#orders.values();
  }
}
