import { expect, test } from "bun:test";
import { clusterSuite } from "../../support/cluster/cluster-suite.ts";
import { created, ordersTopic, readable, spread } from "../../support/cluster/orders-topic.ts";
import { startProgram } from "../../support/programs/processes.ts";

const TIMEOUT_MS = 60_000;

await clusterSuite("brokers by IPv6", (cluster) => {
  test(
    "brokers that are named and name themselves by IPv6 addresses are found, written and read",
    async () => {
      const brokers = cluster().ipv6;
      if (brokers === undefined) {
        console.warn("\n!!! NOT RUN: brokers by IPv6: this machine has no ::1.\n");
        return;
      }
      const orders = await ordersTopic(cluster(), { layout: spread(3), brokers });
      await using program = await startProgram({ env: orders.env });
      await program.ready();
      for (let partition = 0; partition < 3; partition++) {
        const orderId = orders.newOrder(partition);
        expect(await created(program, orderId)).toBe("200");
        await readable(program, orderId);
      }
    },
    TIMEOUT_MS,
  );
});
