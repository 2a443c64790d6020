import { expect, test } from "bun:test";
import { codeOf, ListCart, ListLog, orderIn } from "../../../support/carts.ts";

test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])(
  "another cart's create that is read %d microtasks after the partition is followed again is not overlooked (I8)",
  async (microtasks) => {
    const log = new ListLog(1);
    const [slow, other] = [new ListCart(log), new ListCart(log)];
    const order = orderIn(0, 1);
    const home = slow.held[0]!;
    home.doubt = "It has another leader.";
    home.isHeld = true;
    const first = await other.create(order, undefined, "B");
    const pending = slow.create(order, undefined, "A");
    await Bun.sleep(10);
    let left = microtasks;
    const step = (): void => (left-- > 0 ? queueMicrotask(step) : home.read());
    // The doubt is over as soon as it is looked at; the other create is read some microtasks later.
    let isAsked = false;
    Object.defineProperty(home, "doubt", {
      get: () => {
        if (!isAsked) queueMicrotask(step);
        isAsked = true;
        return undefined;
      },
    });
    expect([codeOf(first), codeOf(await pending)]).toEqual(["ok", "ORDER_EXISTS"]);
  },
);
