/** What is dealt out, and to whom. Members and items are numbered from 0. */
export interface Deal {
  readonly items: number;
  /** For each member, how many items it may get. */
  readonly room: readonly number[];
  /** How many of the members may get one item more than that. */
  readonly extra: number;
  /** What it costs if the member gets the item: nothing at the least, and Infinity if it must not. */
  readonly cost: (member: number, item: number) => number;
}

/**
 * Deals out the items so that the costs are the least in sum, and returns each member's items. An item for which there
 * is no room is left out.
 *
 * This is the transportation problem, solved by successive shortest paths: item after item is given where that costs
 * least, while members that are full pass other items on.
 */
export function deal(wanted: Deal): number[][] {
  const dealing = new Dealing(wanted);
  for (let item = 0; item < wanted.items; item++) dealing.give(item);
  return dealing.shares;
}

/** How a member comes to have an item too many: it was given the item, or takes another member's extra one. */
interface Step {
  /** The member that passes on an item; undefined where the path begins. */
  readonly from: number | undefined;
  /** Undefined where only the right to the extra item passes. */
  readonly item: number | undefined;
}

/** The cheapest item that one member can pass to another. */
interface Passing {
  readonly item: number;
  readonly cost: number;
}

class Dealing {
  readonly shares: number[][];
  #extraLeft: number;
  /** For each two members, what the first can pass to the second. It is found anew when the share of either changes. */
  readonly #passings: Map<number, Passing | undefined>[];

  constructor(private readonly wanted: Deal) {
    this.shares = wanted.room.map(() => []);
    this.#passings = this.shares.map(() => new Map());
    this.#extraLeft = wanted.extra;
  }

  give(item: number): void {
    const costs = this.shares.map((_, member) => this.wanted.cost(member, item));
    const steps: Step[] = costs.map(() => ({ from: undefined, item }));
    // Nothing is cheaper than what costs nothing, and mostly there is a member whom it costs nothing.
    const direct = this.#cheapestEnd(costs);
    if (direct === undefined || costs[direct] !== 0) this.#findPaths(costs, steps);
    const end = this.#cheapestEnd(costs);
    if (end !== undefined) this.#move(end, steps);
  }

  /** How many items the member has beyond its room: at most one. */
  #excess(member: number): number {
    return this.shares[member]!.length - this.wanted.room[member]!;
  }

  /** The member with room that it costs least to give an item; of several, the one with the most room. */
  #cheapestEnd(costs: readonly number[]): number | undefined {
    const excess_max = this.#extraLeft > 0 ? 0 : -1;
    let end: number | undefined;
    for (const [member, cost] of costs.entries()) {
      if (cost === Number.POSITIVE_INFINITY || this.#excess(member) > excess_max) continue;
      if (end === undefined || cost < costs[end]! || (cost === costs[end] && this.#excess(member) < this.#excess(end)))
        end = member;
    }
    return end;
  }

  /**
   * Completes for each member what it costs if that member has one item too many in the end, and the last step of how
   * it comes to that. This is Bellman and Ford's algorithm: nothing gets cheaper by going round in a circle.
   */
  #findPaths(costs: number[], steps: Step[]): void {
    for (let round = 1, isCheaper = true; isCheaper && round < costs.length; round++) {
      isCheaper = false;
      for (const from of costs.keys()) {
        if (costs[from] === Number.POSITIVE_INFINITY) continue;
        const isFull = this.#excess(from) === 0;
        for (const to of costs.keys()) {
          if (from === to) continue;
          // A full member takes the right to an extra item from another one, which then has to pass on an item.
          if (isFull && costs[from]! < costs[to]! && this.#excess(to) === 1) {
            costs[to] = costs[from]!;
            steps[to] = { from, item: undefined };
            isCheaper = true;
          }
          const passing = this.#passing(from, to);
          if (passing === undefined || costs[from]! + passing.cost >= costs[to]!) continue;
          costs[to] = costs[from]! + passing.cost;
          steps[to] = { from, item: passing.item };
          isCheaper = true;
        }
      }
    }
  }

  #passing(from: number, to: number): Passing | undefined {
    const known = this.#passings[from]!;
    if (known.has(to)) return known.get(to);
    let best: Passing | undefined;
    for (const item of this.shares[from]!) {
      const cost = this.wanted.cost(to, item) - this.wanted.cost(from, item);
      if (cost < (best?.cost ?? Number.POSITIVE_INFINITY)) best = { item, cost };
    }
    known.set(to, best);
    return best;
  }

  /** Walks the path back from its end, and moves the items on it. */
  #move(end: number, steps: readonly Step[]): void {
    if (this.#excess(end) === 0) this.#extraLeft--;
    for (let to: number | undefined = end; to !== undefined;) {
      const { from, item }: Step = steps[to]!;
      if (item !== undefined) {
        this.shares[to]!.push(item);
        this.#forget(to);
      }
      if (item !== undefined && from !== undefined) {
        this.shares[from]!.splice(this.shares[from]!.indexOf(item), 1);
        this.#forget(from);
      }
      to = from;
    }
  }

  #forget(member: number): void {
    this.#passings[member]!.clear();
    for (const passings of this.#passings) passings.delete(member);
  }
}
