import { expect, test } from "bun:test";
import { MemoryFleet } from "../support/fleets/memory-fleet.ts";
import { waitUntil } from "../support/wait-until.ts";

const ACCEPT = { env: { LOG_START: "accept" } };
const TOPIC = "orders.events";
const ORDERS = 12;

/** An order service that has orders of every partition, of which the log has lost all but what comes now. */
async function trimmed() {
  const fleet = new MemoryFleet();
  const { role, log } = fleet.start("a", ACCEPT);
  await fleet.settled("a");
  const positions: string[] = [];
  for (let n = 1; n <= ORDERS; n++) positions.push(await fleet.create(String(n)));
  const { partitions } = role.service;
  await waitUntil("for all to be applied", () =>
    positions.every((position) => {
      const [partition = 0, offset = 0] = position.split(":").map(Number);
      return (partitions.get(partition)?.nextOffset ?? 0) > offset;
    }),
  );
  const marks = await log.watermarks(TOPIC);
  const lost = marks.flatMap(({ endOffset }, partition) => (endOffset > 0 ? [partition] : []));
  for (const partition of lost) await log.deleteRecords(TOPIC, partition, marks[partition]?.endOffset ?? 0);
  return { fleet, lost };
}

const statesAt = (fleet: MemoryFleet, name: string) => {
  const { partitions } = fleet.members.get(name)!.role.service;
  return new Map([...partitions.held(), ...(partitions.standbys?.() ?? [])].map((view) => [view.partition, view]));
};

test("what another order service has is not begun without it, whatever is accepted: every order stays there", async () => {
  const { fleet, lost } = await trimmed();
  await using _ = fleet;
  fleet.start("b", ACCEPT);
  await waitUntil("for the newcomer to know", () =>
    [...statesAt(fleet, "b").values()].some(({ halted }) =>
      halted?.includes("http://a has records of the partition from before that"),
    ),
  );
  await Bun.sleep(500);
  for (const [partition, { startedAt }] of statesAt(fleet, "b")) if (lost.includes(partition)) expect(startedAt).toBe(0);
  for (let n = 1; n <= ORDERS; n++)
    for (const name of ["a", "b"]) {
      const { status } = await fleet.ask(name, `/order-details?orderId=${n}`);
      expect([200, 503]).toContain(status);
    }
});

test("what another order service has on its disk is not begun without it, although it does not hold it now", async () => {
  const { fleet } = await trimmed();
  await using _ = fleet;
  await fleet.members.get("a")?.role.stop();
  fleet.start("a", ACCEPT);
  fleet.start("b", ACCEPT);
  await waitUntil("for the newcomer to know", () =>
    [...statesAt(fleet, "b").values()].some(({ halted }) => halted?.includes("http://a has records of the partition")),
  );
  await Bun.sleep(1_000);
  for (let n = 1; n <= ORDERS; n++) expect((await fleet.ask("a", `/order-details?orderId=${n}`)).status).not.toBe(404);
});

test("what nobody has any more is begun where the log begins", async () => {
  const { fleet, lost } = await trimmed();
  await using _ = fleet;
  fleet.kill("a");
  fleet.start("b", ACCEPT);
  await waitUntil("for the newcomer to begin", () =>
    lost.every((partition) => (statesAt(fleet, "b").get(partition)?.startedAt ?? 0) > 0),
  );
  expect((await fleet.ask("b", "/order-details?orderId=1")).status).toBe(404);
});

test("nothing is begun while one does not tell what it has", async () => {
  const { fleet, lost } = await trimmed();
  await using _ = fleet;
  fleet.cut.add("b>a");
  fleet.start("b", ACCEPT);
  const prepared = () =>
    [...statesAt(fleet, "b").values()].some(({ preparing }) => preparing?.startsWith("Other members are asked"));
  await waitUntil("for the newcomer to ask", prepared);
  for (const [partition, { startedAt }] of statesAt(fleet, "b")) if (lost.includes(partition)) expect(startedAt).toBe(0);
  fleet.cut.delete("b>a");
  await waitUntil("for an answer", () =>
    [...statesAt(fleet, "b").values()].some(({ halted }) => halted?.includes("http://a has")),
  );
});
