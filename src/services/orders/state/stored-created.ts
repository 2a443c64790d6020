import type { Created, Item } from "../../../orders/order.ts";
import { orderIdOf, type OrderName } from "../../../orders/order-key.ts";
import type { Creates } from "./creates.ts";

/** What an order's create said, read from the store when a member is first asked for. */
export class StoredCreated implements Created {
  private read: Created | undefined;

  constructor(
    private readonly creates: Creates,
    private readonly name: OrderName,
    readonly place: number,
    private readonly knownFact?: number,
  ) {}

  get orderId(): string {
    return this.read?.orderId ?? orderIdOf(this.name);
  }
  get customerId(): string {
    return this.all.customerId;
  }
  get orderDate(): string {
    return this.all.orderDate;
  }
  get items(): readonly Item[] {
    return this.all.items;
  }
  get total_hundredths(): number {
    return this.all.total_hundredths;
  }
  get currency(): string {
    return this.all.currency;
  }
  get fact(): number {
    return this.knownFact ?? (this.all.fact as number);
  }

  /** Reads it now. Throws an error for damage if the store does not have it. */
  load(): void {
    this.read ??= this.creates.read(orderIdOf(this.name), this.place);
  }

  private get all(): Created {
    this.load();
    return this.read as Created;
  }
}
