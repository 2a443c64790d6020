import { STATUSES } from "../../../orders/order.ts";
import type { LiveAbout } from "../live/live-figures.ts";
import { byId, h } from "./elements.ts";
import { count, milliseconds } from "./format.ts";
import { command } from "./dead-letters.ts";
import { ask, problem } from "./problem.ts";

const STEPS_MAX = 8;

export interface TryItOptions {
  readonly now_ms: () => number;
  /** Returns a number that probably no order has yet. */
  readonly newOrderNumber: () => string;
  /** Called when an event that the form sent has become readable. */
  readonly onReadable: (orderId: string, position: string) => void;
}

/** The form that sends a create or an update to the cart and then waits, with Log-Position, until it can be read. */
export class TryIt {
  readonly #body = byId("try-body");
  readonly #steps = h("ol", { class: "steps", "aria-live": "polite" });
  #shownFor: string | undefined;

  constructor(private readonly options: TryItOptions) {}

  show(about: LiveAbout): void {
    const shownFor = `${about.isCartHere} ${about.cartPort}`;
    if (shownFor === this.#shownFor) return;
    this.#shownFor = shownFor;
    if (about.isCartHere) this.#body.replaceChildren(this.#form(), this.#steps);
    else this.#body.replaceChildren(...elsewhere(about.cartPort));
  }

  #form(): HTMLElement {
    const orderId = h("input", {
      id: "try-id",
      inputmode: "numeric",
      pattern: "(ORD-)?[0-9]{1,64}",
      required: true,
      value: this.options.newOrderNumber(),
    });
    const items = h("input", { id: "try-items", type: "number", min: 1, max: 1000, value: 3, required: true });
    const status = h(
      "select",
      { id: "try-status" },
      ...STATUSES.map((each) => h("option", { selected: each === "confirmed" }, each)),
    );
    const create = h(
      "form",
      { class: "line" },
      h("label", { for: "try-items" }, "Items"),
      items,
      h("button", {}, "Create order"),
    );
    const update = h(
      "form",
      { class: "line" },
      h("label", { for: "try-status" }, "Status"),
      status,
      h("button", {}, "Update status"),
    );
    const another = () => {
      orderId.value = this.options.newOrderNumber();
      orderId.focus();
    };
    create.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!orderId.reportValidity()) return;
      void this.#send("POST", "/create-order", orderId.value, { number_of_items: Number(items.value) });
    });
    update.addEventListener("submit", (event) => {
      event.preventDefault();
      if (orderId.reportValidity()) void this.#send("PUT", "/update-order", orderId.value, { status: status.value });
    });
    return h(
      "div",
      { class: "try" },
      h(
        "div",
        { class: "line" },
        h("label", { for: "try-id" }, "Order"),
        orderId,
        h("button", { type: "button", onclick: another }, "Another number"),
      ),
      create,
      update,
    );
  }

  async #send(method: string, path: string, order_id: string, fields: object): Promise<void> {
    const { now_ms, onReadable } = this.options;
    const began_ms = now_ms();
    const step = h("li", {}, `${method} ${path} …`);
    this.#steps.prepend(step);
    while (this.#steps.children.length > STEPS_MAX) this.#steps.lastElementChild?.remove();
    try {
      const headers = { "content-type": "application/json" };
      const sent = await ask(`try${path}`, { method, headers, body: JSON.stringify({ order_id, ...fields }) });
      const position = sent.headers.get("log-position") ?? "";
      const { orderId } = sent.body as { orderId: string };
      const acknowledged_ms = now_ms() - began_ms;
      const [partition = "", offset = ""] = position.split(":");
      const taken = `${method} ${path}: in the log after ${milliseconds(acknowledged_ms)}, partition ${partition}, offset ${count(Number(offset))}`;
      step.replaceChildren(`${taken}; not readable yet…`);
      await ask(`order-details?${new URLSearchParams({ orderId }).toString()}`, { headers: { "log-position": position } });
      step.replaceChildren(`${taken}; readable after ${milliseconds(now_ms() - began_ms)}.`);
      onReadable(orderId, position);
    } catch (e) {
      step.replaceChildren(`${method} ${path}: `, problem(e));
    }
  }
}

function elsewhere(cartPort: number): HTMLElement[] {
  const url = `http://${location.hostname}:${cartPort}`;
  const body = `{"order_id":"123","number_of_items":3}`;
  return [
    h(
      "p",
      {},
      "The cart runs in a process of its own, and this page may speak to its own service alone. By the settings a cart listens here:",
    ),
    command(`curl -X POST ${url}/create-order -H 'content-type: application/json' -d '${body}'`),
  ];
}
