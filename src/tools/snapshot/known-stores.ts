import { type Projections, type StoreKind, storeKindOf } from "../../runtime/projections.ts";
import { cartProjections } from "../../services/cart/projections.ts";
import { indexProjection } from "../../services/cart/index/index-projection.ts";
import { OwnCreates } from "../../services/cart/index/own-creates.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../services/orders/slices.ts";

/** The stores of this version of the program: what is in them, and which role's they are. */
export interface KnownStore {
  readonly role: "order-service" | "cart";
  readonly holds: "orders" | "index";
  readonly projections: Projections;
  readonly kind: StoreKind;
}

const store = (role: KnownStore["role"], holds: KnownStore["holds"], projections: Projections): KnownStore => ({
  role,
  holds,
  projections,
  kind: storeKindOf(projections),
});

export const KNOWN_STORES: readonly KnownStore[] = [
  store("order-service", "orders", ORDER_SERVICE_PROJECTIONS),
  store("cart", "index", cartProjections(indexProjection(new OwnCreates(), { partitioner: "murmur2", partitionCount: () => 0 }))),
];

/** The store of that kind; undefined if it is another version's. */
export const knownStore = (kind: StoreKind): KnownStore | undefined =>
  KNOWN_STORES.find((one) => one.kind.name === kind.name && one.kind.version === kind.version);

/** What a store of that kind holds, of whichever version: a word, or the kind's own name where this program knows none. */
export const whatHolds = ({ name }: StoreKind): string => KNOWN_STORES.find(({ kind }) => kind.name === name)?.holds ?? name;
