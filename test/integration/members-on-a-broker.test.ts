import { expect, test } from "bun:test";
import { brokerSuite } from "../support/brokers/broker.ts";
import { brokerBacking } from "../support/brokers/foreign.ts";
import { freePorts } from "../support/brokers/ports.ts";
import { createOrder } from "../support/http/http.ts";
import { memberPids } from "../support/programs/member-processes.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 120_000;
const MEMBERS = 3;
const ORDERS = 30;

interface SetHealth {
  readonly status: string;
  readonly partitions: readonly { readonly member: number }[];
  readonly members: readonly { readonly shares: boolean; readonly restarts: number }[];
}

/** Waits until all members share the port and the partitions. */
const shared = (program: Program, partitions: number, restarts: number) =>
  waitUntil(
    () => `for the members to share ${partitions} partitions. The program said:\n${program.output()}`,
    async () => {
      const response = await fetch(`${program.orderUrl}/health/ready`).catch(() => undefined);
      if (response?.status !== 200) return false;
      const { partitions: held, members } = (await response.json()) as SetHealth;
      return (
        held.length === partitions &&
        new Set(held.map(({ member }) => member)).size === MEMBERS &&
        members.every(({ shares }) => shares) &&
        members.reduce((sum, one) => sum + one.restarts, 0) === restarts
      );
    },
    { wait_ms_max: 60_000, interval_ms: 100 },
  );

await brokerSuite("members behind one port", ({ brokers }) => {
  test(
    "share the partitions; whichever is asked answers for all, also while one is killed and comes back",
    async () => {
      await using backing = await brokerBacking(brokers, { TOPIC_PARTITIONS: "6" });
      const [CART_PORT, ORDER_PORT] = (await freePorts(2)).map(String) as [string, string];
      // The URL of the port that all share: each member must put its own port there.
      const ADVERTISED_URL = `http://127.0.0.1:${ORDER_PORT}`;
      const settings = { MEMBERS: String(MEMBERS), SESSION_TIMEOUT_MS: "6000", CART_PORT, ORDER_PORT, ADVERTISED_URL };
      await using program = await startProgram({ env: { ...backing.env, ...settings } });
      await shared(program, 6, 0);
      for (let n = 1; n <= ORDERS; n++)
        expect((await createOrder(program.cartUrl, { order_id: String(n), number_of_items: 1 })).status).toBe(200);

      /** Asks for each order on a connection of its own, so that any member may get it. */
      const statuses = async (): Promise<number[]> => {
        const found: number[] = [];
        for (let n = 1; n <= ORDERS; n++) {
          const response = await fetch(`${program.orderUrl}/order-details?orderId=ORD-${n}`, {
            headers: { connection: "close" },
          });
          const text = await response.text();
          if (response.status === 200) expect(text).toContain(`"orderId":"ORD-${n}"`);
          else expect(response.headers.get("retry-after")).not.toBeNull();
          found.push(response.status);
        }
        return found;
      };
      await waitUntil("for all orders to be readable", async () => (await statuses()).every((status) => status === 200));
      for (let times = 0; times < 5; times++) expect(new Set(await statuses())).toEqual(new Set([200]));

      process.kill(memberPids(program.pid).get(1)!, "SIGKILL");
      const isBack = shared(program, 6, 1).then(() => true);
      const seen = new Set<number>();
      // A request whose connection broke with the member is not answered at all.
      while (!(await Promise.race([isBack, Bun.sleep(50).then(() => false)])))
        for (const status of await statuses().catch(() => [])) seen.add(status);
      expect([...seen].filter((status) => status !== 200 && status !== 503)).toEqual([]);
      for (let times = 0; times < 5; times++) expect(new Set(await statuses())).toEqual(new Set([200]));
    },
    TIMEOUT_MS,
  );
});
