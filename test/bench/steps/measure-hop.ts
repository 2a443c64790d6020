import { partitionFor } from "../../../src/log/partitioner.ts";
import { standing } from "../../support/programs/standing.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { type Figure, percentile } from "../figures.ts";
import { fillTopic, type Load, loadPartitions } from "../load.ts";
import { type Members, startMembers, untilApplied } from "../members.ts";
import type { Options } from "../options.ts";
import type { Target } from "../target.ts";

const load: Load = { shape: "hot", orders: 20_000, updatesPerOrder: 3 };
const applied_ms_max = 120_000;
/** Until the partitions are shared out evenly, by warm-ups where they have to be. */
const shared_ms_max = 120_000;
/** Reads of each kind after which the code is compiled, and connections are open. */
const warm_up_reads = 2_000;
const goal_ms = 0.5;

/**
 * The latency of reading an order at its owner and at the other one of two order services. One client reads each order
 * at both, one read after another; every other order it reads at the other one first.
 */
export async function measureHop(target: Target, { step_s }: Options): Promise<Figure[]> {
  await using topic = await target.emptyTopic("hop");
  await fillTopic(topic.log, topic.topic, load);
  await using members = await startMembers(topic, "consumer", 2);
  await untilApplied(members, load.orders * (1 + load.updatesPerOrder), applied_ms_max);
  const owners = await ownersOf(members);

  const atOwner_ms: number[] = [];
  const atOther_ms: number[] = [];
  const readBoth = async (n: number) => {
    const orderId = `ORD-${n % load.orders}`;
    const owner = owners[partitionFor("murmur2", orderId, loadPartitions)]!;
    const other = members.urls.find((url) => url !== owner)!;
    for (const url of n % 2 === 0 ? [owner, other] : [other, owner])
      (url === owner ? atOwner_ms : atOther_ms).push(await read(url, orderId));
  };
  for (let n = 0; n < warm_up_reads; n++) await readBoth(n);
  atOwner_ms.length = atOther_ms.length = 0;
  const end_ms = performance.now() + step_s * 1_000;
  for (let n = 0; performance.now() < end_ms; n++) await readBoth(n);

  return [50, 99].flatMap((p) => {
    const [owner, other] = [percentile(atOwner_ms, p), percentile(atOther_ms, p)];
    const figure = { log: target.name, unit: "ms", note: `${atOwner_ms.length} reads` };
    const goal = p === 50 ? `goal: below ${goal_ms}` : "";
    return [
      { ...figure, what: `read of an order at its owner, p${p}`, figure: owner },
      { ...figure, what: `read of an order at another, p${p}`, figure: other, ratios: [{ times: other / owner, to: "owner" }] },
      { ...figure, what: `one hop, p${p}: the difference`, figure: other - owner, note: goal },
    ];
  });
}

/** The URL of each partition's owner, once both have their share and have caught up. */
async function ownersOf({ programs }: Members): Promise<readonly string[]> {
  const owners: string[] = [];
  await waitUntil(
    "both order services to have their share of the partitions",
    async () => {
      const all = await Promise.all(programs.map(standing));
      owners.length = 0;
      for (const [n, { partitions }] of all.entries())
        for (const { partition } of partitions) owners[partition] = programs[n]!.orderUrl;
      return all.every(
        ({ status, partitions, standbys = [] }) =>
          status === "ready" && partitions.length === loadPartitions / 2 && standbys.length === 0,
      );
    },
    { wait_ms_max: shared_ms_max },
  );
  return owners;
}

async function read(url: string, orderId: string): Promise<number> {
  const asked_ms = performance.now();
  const response = await fetch(`${url}/order-details?orderId=${orderId}`);
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`The order ${orderId} was answered ${response.status} by ${url}.`);
  return performance.now() - asked_ms;
}
