import type { EndOffsets, Isolation, TopicEnds } from "../../port.ts";
import type { Connections, Node } from "../connection/connections.ts";
import type { TopicLeaders } from "../connection/leaders.ts";
import { causeOf, describeError, describeFailure } from "../protocol/errors.ts";
import { listOffsetsExchange, type PartitionAt, TIMESTAMP_EARLIEST, TIMESTAMP_LATEST } from "../protocol/list-offsets.ts";

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

type Told<T> = (T & { readonly leaderEpoch: number }) | { readonly unavailable: string };

/** Asks the leader of each partition, or of those that are wanted. Each answer comes separately, and none rejects. */
function askLeaders<T extends object>(
  { connections, leaders, topic }: EndsContext,
  wanted: ReadonlySet<number> | undefined,
  ask: (node: Node, partitions: readonly PartitionAt[]) => Promise<Map<number, T | { readonly errorCode: number }>>,
): Map<number, Promise<Told<T>>> {
  const told = new Map<number, Promise<Told<T>>>();
  const { led, leaderless } = byLeader(leaders, wanted);
  const { reach } = connections;
  for (const partition of leaderless) {
    const unavailable = reach.withUnreachable(`Partition ${partition} of ${topic} has no leader now.`);
    told.set(partition, Promise.resolve({ unavailable }));
  }
  for (const [nodeId, own] of led) {
    const answered = askOne(connections, nodeId, (node) => ask(node, own));
    for (const { partition, leaderEpoch } of own)
      told.set(
        partition,
        answered.then((answer): Told<T> => {
          if (typeof answer === "string")
            return { unavailable: `The leader of partition ${partition} of ${topic} cannot be asked: ${answer}.` };
          const found = answer.get(partition) ?? { errorCode: -1 };
          if (!("errorCode" in found)) return { ...found, leaderEpoch: Math.max(0, leaderEpoch) };
          const why = describeError(found.errorCode, "DESCRIBE");
          const refusal = `The leader of partition ${partition} of ${topic} cannot tell its end: ${why}.`;
          return { unavailable: reach.withUnreachable(refusal) };
        }),
      );
  }
  return told;
}

/** Resolves with the answer, or with why there is none. */
async function askOne<T>(connections: Connections, nodeId: number, ask: (node: Node) => Promise<T>): Promise<T | string> {
  let node: Node | undefined;
  try {
    node = await connections.node(nodeId);
    return await ask(node);
  } catch (e) {
    if (node) connections.discard(node);
    return connections.reach.withUnreachable(node ? describeFailure(node.name, e) : causeOf(e));
  }
}

export interface EndsContext {
  readonly connections: Connections;
  readonly leaders: TopicLeaders;
  readonly topic: string;
}

/** The ends of all partitions, each asked of its leader. `leaders` must be fresh. */
export async function topicEnds(context: EndsContext): Promise<TopicEnds> {
  const told = askLeaders(context, undefined, (node, own) => listEnds(node, context.topic, own));
  return { topicId: context.leaders.topicId, partitions: await Promise.all(inOrder(told, context.leaders)) };
}

/**
 * See `Log.endOffsets`. The leaders that are known are asked while a broker is asked who they are. Only the answer of one
 * that still leads in the same epoch counts; where another one does, that one is asked.
 */
export async function endOffsets(
  context: EndsContext,
  wanted: ReadonlySet<number> | undefined,
  isolation: Isolation,
  refreshAnew: () => Promise<void> = () => context.leaders.refreshAnew(),
): Promise<EndOffsets> {
  const { leaders, topic } = context;
  const ask = (partitions: ReadonlySet<number> | undefined) =>
    askLeaders(context, partitions, async (node, own) => {
      const listed = await listOffsets(node, topic, own, TIMESTAMP_LATEST, isolation);
      const found = [...listed.values()].map(({ partition, errorCode, offset }) => {
        return [partition, errorCode === 0 ? { endOffset: offset } : { errorCode }] as const;
      });
      return new Map<number, { readonly endOffset: number } | { readonly errorCode: number }>(found);
    });
  const told = ask(wanted);
  const askedOf = new Map([...told.keys()].map((partition) => [partition, leaders.leaderOf(partition)]));
  const { topicId } = leaders;
  // An answer that was on its way before may be older than what was acknowledged before this was asked.
  await refreshAnew();
  const again = new Set<number>();
  for (const { partition } of leaders.partitions) {
    const [before, now] = [askedOf.get(partition), leaders.leaderOf(partition)];
    const isLed = told.has(partition) && before?.nodeId === now?.nodeId && before?.leaderEpoch === now?.leaderEpoch;
    if (!(isLed && topicId === leaders.topicId) && wanted?.has(partition) !== false) again.add(partition);
  }
  if (again.size > 0) for (const [partition, answer] of ask(again)) told.set(partition, answer);
  return { topicId: leaders.topicId, partitions: inOrder(told, leaders) };
}

function inOrder<T>(told: ReadonlyMap<number, Promise<Told<T>>>, { partitions }: TopicLeaders): Promise<Told<T>>[] {
  const nobody: Promise<Told<T>> = Promise.resolve({ unavailable: "Nobody asked for it." });
  return partitions.map(({ partition }) => told.get(partition) ?? nobody);
}
