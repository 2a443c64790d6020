import { eventWords } from "../../../orders/events/words.ts" with { type: "macro" };
import { OUTCOMES, type RecordCount } from "../../../orders/outcomes.ts";
import type { TimelineEvent } from "../history/timeline.ts";
import { byId, h, setText } from "./elements.ts";
import { count, dateAndTime, plural } from "./format.ts";
import { ask, problem } from "./problem.ts";

interface OrderDetails {
  readonly order: {
    readonly orderId: string;
    readonly customerId: string;
    readonly orderDate: string;
    readonly items: readonly { readonly itemId: string; readonly quantity: number; readonly price: number }[];
    readonly totalAmount: number;
    readonly currency: string;
    readonly status: string;
  };
  readonly shippingCost: number;
}

/** An event as the answer has it, with the members that its kind shows. */
type ShownEvent = TimelineEvent & Readonly<Record<string, unknown>>;

interface TimelineAnswer {
  readonly orderId: string;
  readonly partition: number;
  readonly events: readonly ShownEvent[];
  readonly scannedTo: number;
  readonly startOffset: number;
  readonly endOffset: number;
  readonly next: string | null;
  readonly isCut: boolean;
}

/** How many events to show before asking the reader whether to go on. */
const EVENTS_AT_ONCE = 50;
const HASH = "#order=";

/**
 * Finds an order by the form or by `#order=ORD-123` in the address, which can be shared.
 *
 * ```
 *  idle ──find()──▶ searching ──answered──▶ shown
 *                      ▲ └── find() ends it and begins a new search
 * ```
 */
export class FindOrder {
  readonly #result = byId("find-result");
  readonly #input = byId("find-id") as HTMLInputElement;
  /** Aborts the search under way when a new one begins. */
  #search = new AbortController();

  constructor() {
    byId("find-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.find(this.#input.value.trim());
    });
    addEventListener("hashchange", () => this.#followAddress());
  }

  start(): void {
    this.#followAddress();
  }

  /** `position` is that of an event that must be applied first, as the cart's Log-Position header gives it. */
  async find(orderId: string, position?: string): Promise<void> {
    this.#search.abort();
    const search = (this.#search = new AbortController());
    this.#input.value = orderId;
    history.replaceState(null, "", `${HASH}${encodeURIComponent(orderId)}`);
    const init: RequestInit = {
      signal: search.signal,
      ...(position === undefined ? {} : { headers: { "log-position": position } }),
    };
    const state = h("div", {});
    const timeline = h("div", {});
    this.#result.setAttribute("aria-busy", "true");
    try {
      const details = ask(`order-details?${new URLSearchParams({ orderId }).toString()}`, init).then(
        ({ body, headers }) => state.replaceChildren(shownOrder(body as OrderDetails, headers.get("age"))),
        (e: unknown) => state.replaceChildren(problem(e)),
      );
      await details;
      if (search.signal.aborted) return;
      this.#result.replaceChildren(state, timeline);
      await showTimeline(timeline, orderId, init);
    } finally {
      if (!search.signal.aborted) this.#result.removeAttribute("aria-busy");
    }
  }

  #followAddress(): void {
    if (location.hash.startsWith(HASH)) void this.find(decodeURIComponent(location.hash.slice(HASH.length)));
  }
}

/** `age` is that of an answer whose order may have changed since, in seconds. */
function shownOrder({ order, shippingCost }: OrderDetails, age: string | null): HTMLElement {
  const money = (amount: number) => `${amount.toLocaleString("en-US", { minimumFractionDigits: 2 })} ${order.currency}`;
  const term = (name: string, value: string) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  const head = ["Item", "Quantity", "Price"].map((name) => h("th", { scope: "col" }, name));
  const rows = order.items.map(({ itemId, quantity, price }) =>
    h("tr", {}, h("td", {}, itemId), h("td", {}, count(quantity)), h("td", {}, money(price))),
  );
  return h(
    "div",
    { class: "order" },
    h("h3", {}, h("span", {}, order.orderId), h("span", { class: "chip", "data-status": order.status }, order.status)),
    // A span of time would be wrong a moment later if it were told as from now.
    age === null
      ? undefined
      : h(
          "p",
          { class: "stale" },
          `As it was up to ${age} s before it was looked up: its owner could not be asked, or is behind the log.`,
        ),
    h(
      "dl",
      { class: "terms" },
      term("total", money(order.totalAmount)),
      term("shipping", money(shippingCost)),
      term("customer", order.customerId),
      term("ordered", dateAndTime(order.orderDate)),
    ),
    h(
      "details",
      {},
      h("summary", {}, plural(order.items.length, "item", "items")),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "group", "aria-label": "Items" },
        h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)),
      ),
    ),
  );
}

async function showTimeline(host: HTMLElement, orderId: string, init: RequestInit): Promise<void> {
  const list = h("ol", { class: "timeline", "aria-label": `Events of ${orderId}` });
  const progress = h("p", { class: "quiet" }, "Reading the log…");
  host.replaceChildren(list, progress);
  let after = "";
  const readOn = async (): Promise<void> => {
    const until = list.children.length + EVENTS_AT_ONCE;
    for (;;) {
      const { body } = await ask(`orders/${encodeURIComponent(orderId)}/events?limit=${EVENTS_AT_ONCE}${after}`, init);
      const page = body as TimelineAnswer;
      list.append(...page.events.map(shownEvent));
      const read = `Read ${count(page.scannedTo - page.startOffset)} of ${count(page.endOffset - page.startOffset)} records of partition ${page.partition}`;
      if (page.next === null) {
        const removed =
          page.startOffset > 0
            ? ` The log begins at offset ${count(page.startOffset)}; earlier events are not in it any more.`
            : "";
        const cut = page.isCut ? " The order has more events than are told apart here." : "";
        setText(progress, `${plural(list.children.length, "event", "events")}.${removed}${cut}`);
        return;
      }
      after = `&after=${encodeURIComponent(page.next)}`;
      if (list.children.length >= until) {
        const more = h("button", { type: "button", onclick: () => void guarded(readOn) }, "More events");
        progress.replaceChildren(`${read}. `, more);
        return;
      }
      setText(progress, `${read}…`);
    }
  };
  const guarded = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (e) {
      if (!init.signal?.aborted) progress.replaceChildren(problem(e));
    }
  };
  await guarded(readOn);
}

/** The words for each type of event. Bun inserts them when it bundles the page. */
const WORDS = eventWords();

/** The words for the event, with its own values filled in. */
function wordsOf(event: ShownEvent): string {
  const words = event.type === undefined ? undefined : WORDS[event.type];
  return words === undefined ? "no event" : words.replace(/\{(\w+)\}/g, (_, member: string) => shownMember(event[member]));
}

/** Formats a member of an event; a number is an amount of money. */
const shownMember = (value: unknown): string =>
  typeof value === "number" ? value.toLocaleString("en-US", { minimumFractionDigits: 2 }) : String(value);

/** Under which count the event stands in the metrics; the page colours it by that. */
const countOf = (outcome: ShownEvent["outcome"]): RecordCount => (outcome === "poison" ? "dead" : OUTCOMES[outcome].count);

function shownEvent(event: ShownEvent): HTMLElement {
  const notes = [outcomeOf(event)];
  if (event.replayId !== undefined) notes.push(`by replay ${event.replayId}`);
  if (event.redrives !== undefined) notes.push(`redriven ${plural(event.redrives, "time", "times")}`);
  if (event.detail !== undefined && event.outcome === "poison") notes.push(event.detail);
  return h(
    "li",
    {
      "data-outcome": event.outcome,
      "data-count": countOf(event.outcome),
      title: event.eventId === undefined ? "" : `event id ${event.eventId}`,
    },
    h("time", { datetime: event.time }, dateAndTime(event.time)),
    h("span", { class: "place" }, `${event.partition}:${count(event.offset)}`),
    h("span", { class: "what" }, wordsOf(event)),
    h("span", { class: "outcome" }, notes.join("; ")),
  );
}

function outcomeOf({ outcome, isWaiting, heldApplied }: ShownEvent): string {
  if (outcome === "held") return isWaiting ? "held: waits for the create" : "held until the create came";
  if (outcome === "created" && heldApplied)
    return `created the order, with ${plural(heldApplied, "held update", "held updates")} applied`;
  return outcome === "poison" ? "dead letter" : OUTCOMES[outcome].words;
}
