import type { CommittedOffset } from "../../membership.ts";
import type { Broker } from "../connection/cluster.ts";

/** The offset that a coordinator tells of a partition of which nothing is committed. */
const NONE = -1;

/** Who commits, of which topic. */
export interface Committer {
  readonly group: string;
  readonly topic: string;
  readonly generation: number;
  readonly memberId: string;
}

/** Rejects with kafkajs' error if the coordinator refuses, for example because the member's generation is over. */
export async function commitOffsets(
  coordinator: Broker,
  { group, topic, generation, memberId }: Committer,
  offsets: ReadonlyMap<number, CommittedOffset>,
): Promise<void> {
  const partitions = [...offsets].map(([partition, { nextOffset, metadata = null }]) => ({
    partition,
    offset: String(nextOffset),
    metadata,
  }));
  await coordinator.offsetCommit({
    groupId: group,
    groupGenerationId: generation,
    memberId,
    topics: [{ topic, partitions }],
  });
}

/** Rejects with kafkajs' error if the coordinator refuses. */
export async function committedOffsets(
  coordinator: Broker,
  { group, topic }: Pick<Committer, "group" | "topic">,
  partitions: readonly number[],
): Promise<Map<number, CommittedOffset>> {
  const topics = [{ topic, partitions: partitions.map((partition) => ({ partition })) }];
  const { responses } = await coordinator.offsetFetch({ groupId: group, topics });
  const told = responses.find((one) => one.topic === topic)?.partitions ?? [];
  return new Map(
    told
      .map(
        ({ partition, offset, metadata }) =>
          [partition, { nextOffset: Number(offset), metadata: metadata || undefined }] as const,
      )
      .filter(([, { nextOffset }]) => nextOffset > NONE),
  );
}
