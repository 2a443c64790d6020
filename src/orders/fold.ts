import { type Change, changeKindOf, kindOf, type OrderEvent } from "./events/kinds.ts";
import type { Order } from "./order.ts";
import { HELD_UPDATES_MAX, type Outcome } from "./outcomes.ts";

/** An order's state after a prefix of its partition's records. */
export interface OrderState {
  /** The order; undefined until its create is read. */
  readonly order: Order | undefined;
  /** The changes that came before the create, in log order. */
  readonly held: readonly Change[];
  /** The ids of the events that counted, oldest first, each between two newlines: `"\n"`, then `"\nid1\nid2\n"`. */
  readonly eventIds: string;
}

export interface Evolution {
  readonly state: OrderState;
  readonly outcome: Outcome;
  /** How many of the changes that waited were applied by a create. */
  readonly heldApplied?: number;
}

export const initialState: OrderState = { order: undefined, held: [], eventIds: "\n" };

const noneBefore = (): boolean => false;

/**
 * Folds one event into its order. It is total and pure (I3), and does not modify `state`. The caller may keep only the
 * newest ids in `state.eventIds`; `seenBefore` is asked about an id that is not among them.
 */
export function evolve(state: OrderState, event: OrderEvent, seenBefore: (eventId: string) => boolean = noneBefore): Evolution {
  // I4: an event counts once per order, by its id.
  if (state.eventIds.includes(`\n${event.eventId}\n`) || seenBefore(event.eventId)) return { state, outcome: "duplicate" };
  const { order, held } = state;
  const kind = kindOf(event);
  if (kind.isCreate) {
    if (order !== undefined) return { state, outcome: "already-created" };
    const { changed, heldApplied } = withHeld(kind.order(event), held);
    const created = { order: changed, held: initialState.held, eventIds: withId(state, event) };
    return { state: created, outcome: "created", heldApplied };
  }
  if (order !== undefined) {
    // An event of such a kind is a change, too; a change of its own is made only where it is kept.
    const change = event as Change;
    const refused = kind.refusal?.(order, change);
    if (refused !== undefined) return { state, outcome: refused };
    return { state: { order: kind.apply(order, change), held, eventIds: withId(state, event) }, outcome: "updated" };
  }
  // I10: the number of held changes is bounded.
  if (held.length >= HELD_UPDATES_MAX) return { state, outcome: "held-overflow" };
  // I5: a change that comes before its order's create is held until then.
  return { state: { order, held: [...held, kind.change(event)], eventIds: withId(state, event) }, outcome: "held" };
}

const withId = ({ eventIds }: OrderState, { eventId }: OrderEvent): string => `${eventIds}${eventId}\n`;

/** Applies the changes that waited for the create, in log order, except those that the order refuses. */
function withHeld(order: Order, held: readonly Change[]): { readonly changed: Order; readonly heldApplied: number } {
  let changed = order;
  let heldApplied = 0;
  for (const change of held) {
    const kind = changeKindOf(change);
    if (kind.refusal?.(changed, change) !== undefined) continue;
    changed = kind.apply(changed, change);
    heldApplied++;
  }
  return { changed, heldApplied };
}
