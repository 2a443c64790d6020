import { expect, test } from "bun:test";
import { type Cart, RestartingCart } from "../../../src/services/cart/restarting-cart.ts";

function carts() {
  const events: string[] = [];
  const told: string[] = [];
  const damage: ((reason: string) => void)[] = [];
  let stopped = Promise.resolve();
  const cart = new RestartingCart(
    (onIndexDamaged) => {
      const number = damage.push(onIndexDamaged);
      return {
        partitions: { partitionCount: number } as Cart["partitions"],
        refusal: `refused by ${number}`,
        commands: {
          create: async () => ({ partition: number, offset: 0 }),
          change: async () => ({ partition: number, offset: 1 }),
        },
        start: () => void events.push(`start ${number}`),
        stop: () => stopped.then(() => void events.push(`stop ${number}`)),
      };
    },
    (message) => told.push(message),
  );
  cart.start();
  const created = async () => (await cart.create({} as never, {})).partition;
  return { cart, events, told, damage, created, holdStop: (until: Promise<void>) => void (stopped = until) };
}

test("an index that is damaged: the service is stopped before another one starts, and commands go to that one", async () => {
  const { cart, events, told, damage, created } = carts();
  expect(await created()).toBe(1);
  damage[0]?.("database disk image is malformed");
  await Bun.sleep(1);
  expect(events).toEqual(["start 1", "stop 1", "start 2"]);
  expect([await created(), cart.partitions.partitionCount, cart.refusal]).toEqual([2, 2, "refused by 2"]);
  expect(told).toEqual([expect.stringMatching(/malformed.*rebuilds it from the log/)]);
  await cart.stop();
  expect(events.at(-1)).toBe("stop 2");
});

test("stopped while it begins anew, it starts no other", async () => {
  const { cart, events, damage, holdStop } = carts();
  const { promise, resolve } = Promise.withResolvers<void>();
  holdStop(promise);
  damage[0]?.("damaged");
  const stopping = cart.stop();
  resolve();
  await stopping;
  expect(events.filter((event) => event.startsWith("start"))).toEqual(["start 1"]);
  damage[0]?.("damaged");
  expect(events.filter((event) => event.startsWith("start"))).toEqual(["start 1"]);
});

test("a disk that damages one index after another is left alone after three new ones", async () => {
  const { events, told, damage } = carts();
  for (let n = 0; n < 6; n++) {
    damage.at(-1)?.("damaged");
    await Bun.sleep(1);
  }
  expect(events.filter((event) => event.startsWith("start"))).toHaveLength(4);
  expect(told.at(-1)).toMatch(/after 3 new ones\. Look at the disk/);
});
