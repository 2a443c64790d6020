import { type Change, changeKindOf, kindOf, type OrderEvent } from "./events/kinds.ts";
import { EventIds, type Identified } from "./event-ids.ts";
import type { Order } from "./order.ts";
import { HELD_UPDATES_MAX, type Outcome } from "./outcomes.ts";

/** An order's state after a prefix of its partition's records. */
export interface OrderState {
  /** The order; undefined until its create is read. */
  readonly order: Order | undefined;
  /** The changes that came before the create, in log order. */
  readonly held: readonly Change[];
  /** The ids of the events that counted. */
  readonly eventIds: EventIds;
}

export interface Evolution {
  readonly state: OrderState;
  readonly outcome: Outcome;
  /** How many of the changes that waited were applied by a create. */
  readonly heldApplied?: number;
}

export const initialState: OrderState = { order: undefined, held: [], eventIds: EventIds.none };

const noneBefore: SeenBefore = () => false;

/**
 * Folds one event into its order. It is total and pure (I3), and does not modify `state`. The caller may keep only the
 * newest ids in `state.eventIds`; `seenBefore` is asked about an event whose id is not among them.
 */
export function evolve(state: OrderState, event: OrderEvent, seenBefore = noneBefore): Evolution {
  const kind = kindOf(event);
  // An event of a kind that changes orders is a change, too; a change of its own is made only where it is kept.
  return kind.isCreate
    ? evolveCreate(state, event, kind.order(event), seenBefore)
    : evolveChange(state, event, event as Change, seenBefore);
}

type SeenBefore = (event: Identified) => boolean;

/** Folds an event that creates `created`. */
export function evolveCreate(
  state: OrderState,
  event: Identified,
  created: Order,
  seenBefore: SeenBefore = noneBefore,
): Evolution {
  // I4: an event counts once per order, by its id.
  if (state.eventIds.has(event) || seenBefore(event)) return { state, outcome: "duplicate" };
  if (state.order !== undefined) return { state, outcome: "already-created" };
  const { changed, heldApplied } = withHeld(created, state.held);
  return {
    state: { order: changed, held: initialState.held, eventIds: state.eventIds.with(event) },
    outcome: "created",
    heldApplied,
  };
}

/** Folds an event that makes the change. What is kept of the change is a copy. */
export function evolveChange(
  state: OrderState,
  event: Identified,
  change: Change,
  seenBefore: SeenBefore = noneBefore,
): Evolution {
  if (state.eventIds.has(event) || seenBefore(event)) return { state, outcome: "duplicate" };
  const { order, held, eventIds } = state;
  const kind = changeKindOf(change);
  if (order !== undefined) {
    const refused = kind.refusal?.(order, change);
    if (refused !== undefined) return { state, outcome: refused };
    return { state: { order: kind.apply(order, change), held, eventIds: eventIds.with(event) }, outcome: "updated" };
  }
  // I10: the number of held changes is bounded.
  if (held.length >= HELD_UPDATES_MAX) return { state, outcome: "held-overflow" };
  // I5: a change that comes before its order's create is held until then.
  const kept = kind.change(change as Change & OrderEvent);
  return { state: { order, held: [...held, kept], eventIds: eventIds.with(event) }, outcome: "held" };
}

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
