import { join } from "node:path";
import { namedTopic } from "../cluster/orders-topic.ts";
import { tempDir } from "../stores/temp-dir.ts";
import { waitUntil } from "../wait-until.ts";
import { type Program, startProgram } from "./processes.ts";
import { standing } from "./standing.ts";

export const PARTITIONS = 6;

/** A cart and three order services that share the partitions, each of which owns two and follows two. */
export async function threeWithStandbys(brokers: string, dirs: AsyncDisposableStack) {
  const orders = namedTopic(PARTITIONS, { KAFKA_BROKERS: brokers, STANDBYS: "1" });
  const shared = dirs.use(await tempDir());
  const env = { ...orders.env, PEER_TOKEN_FILE: join(shared.path, "peer-token") };
  await Bun.write(env.PEER_TOKEN_FILE, crypto.randomUUID());
  const cart = dirs.use(await startProgram({ role: "producer", env }));
  await cart.ready();
  const services = await Promise.all([0, 1, 2].map(() => startProgram({ role: "consumer", env })));
  for (const service of services) await dirs.use(service).live();
  await waitUntil(
    "each to own two and to follow two",
    async () =>
      (await Promise.all(services.map(standing))).every(
        ({ status, partitions, standbys = [] }) =>
          status === "ready" &&
          partitions.length === 2 &&
          standbys.length === 2 &&
          standbys.every(({ state }) => state === "running"),
      ),
    { wait_ms_max: 60_000 },
  );
  return { orders, cart, env, services: services as [Program, Program, Program] };
}
