import type { PartitionEnds, TopicEnds } from "../../port.ts";
import type { Connections, Node } from "../connection/connections.ts";
import type { TopicLeaders } from "../connection/leaders.ts";
import { causeOf, describeError, describeFailure } from "../protocol/errors.ts";
import {
  type Isolation,
  listOffsetsExchange,
  type PartitionAt,
  TIMESTAMP_EARLIEST,
  TIMESTAMP_LATEST,
} from "../protocol/list-offsets.ts";

const API_LIST_OFFSETS = 2;
const OFFSETS_MS_MAX = 2_000;

type Ends = { readonly startOffset: number; readonly endOffset: number; readonly stableOffset: number };

/** The ends of each partition, by partition; this node must lead all of them. */
export async function listEnds(
  node: Node,
  topic: string,
  partitions: readonly PartitionAt[],
): Promise<Map<number, Ends | { readonly errorCode: number }>> {
  const [starts, ends, stables] = await Promise.all([
    listOffsets(node, topic, partitions, TIMESTAMP_EARLIEST, "uncommitted"),
    listOffsets(node, topic, partitions, TIMESTAMP_LATEST, "uncommitted"),
    listOffsets(node, topic, partitions, TIMESTAMP_LATEST, "committed"),
  ]);
  return new Map(
    partitions.map(({ partition }): [number, Ends | { readonly errorCode: number }] => {
      const [start, end, stable] = [starts, ends, stables].map((listed) => listed.get(partition));
      const errorCode = [start, end, stable].map((one) => one?.errorCode ?? -1).find((code) => code !== 0);
      if (errorCode !== undefined || !start || !end || !stable) return [partition, { errorCode: errorCode ?? -1 }];
      return [partition, { startOffset: start.offset, endOffset: end.offset, stableOffset: stable.offset }];
    }),
  );
}

/** For each partition, the first offset whose record is at least as late as the timestamp; −1 if there is none. */
export async function listOffsets(
  node: Node,
  topic: string,
  partitions: readonly PartitionAt[],
  timestamp_ms: number,
  isolation: Isolation,
) {
  const version = await node.version(API_LIST_OFFSETS);
  const exchange = listOffsetsExchange(topic, partitions, { timestamp_ms, isolation }, version, OFFSETS_MS_MAX);
  return new Map((await node.send(exchange)).map((listed) => [listed.partition, listed]));
}

/** Groups the topic's partitions, or those that are wanted, by their leader; `leaderless` has those without one. */
export function byLeader(
  leaders: TopicLeaders,
  wanted?: ReadonlySet<number>,
): { led: Map<number, PartitionAt[]>; leaderless: number[] } {
  const led = new Map<number, PartitionAt[]>();
  const leaderless: number[] = [];
  for (const { partition } of leaders.partitions) {
    if (wanted?.has(partition) === false) continue;
    const leader = leaders.leaderOf(partition);
    if (!leader) leaderless.push(partition);
    else led.set(leader.nodeId, [...(led.get(leader.nodeId) ?? []), { partition, leaderEpoch: leader.leaderEpoch }]);
  }
  return { led, leaderless };
}

/**
 * The ends of all partitions, or of those that are wanted, each asked of its leader and told separately. `leaders` must be
 * fresh.
 */
export async function topicEnds(
  connections: Connections,
  topic: string,
  leaders: TopicLeaders,
  wanted?: ReadonlySet<number>,
): Promise<TopicEnds> {
  const partitions: PartitionEnds[] = [];
  const { led, leaderless } = byLeader(leaders, wanted);
  if (wanted !== undefined)
    for (const { partition } of leaders.partitions) partitions[partition] = { unavailable: "Nobody asked for it." };
  for (const partition of leaderless)
    partitions[partition] = {
      unavailable: connections.reach.withUnreachable(`Partition ${partition} of ${topic} has no leader now.`),
    };
  const asks = [...led].map(async ([nodeId, own]) => {
    let node: Node | undefined;
    try {
      node = await connections.node(nodeId);
      const ends = await listEnds(node, topic, own);
      for (const { partition, leaderEpoch } of own) {
        const found = ends.get(partition) ?? { errorCode: -1 };
        partitions[partition] =
          "errorCode" in found
            ? {
                unavailable: connections.reach.withUnreachable(
                  `The leader of partition ${partition} of ${topic} cannot tell its end: ${describeError(found.errorCode, "DESCRIBE")}.`,
                ),
              }
            : { ...found, leaderEpoch: Math.max(0, leaderEpoch) };
      }
    } catch (e) {
      if (node) connections.discard(node);
      const why = connections.reach.withUnreachable(node ? describeFailure(node.name, e) : causeOf(e));
      for (const { partition } of own)
        partitions[partition] = { unavailable: `The leader of partition ${partition} of ${topic} cannot be asked: ${why}.` };
    }
  });
  await Promise.all(asks);
  return { topicId: leaders.topicId, partitions };
}
