import type { EndOffset, EndOffsets, Isolation, TopicEnds } from "../port.ts";

/** What `endOffsets` tells, of a log whose ends cost one question. */
export const endOffsetsIn = ({ topicId, partitions }: TopicEnds, isolation: Isolation): EndOffsets => ({
  topicId,
  partitions: partitions.map((ends): Promise<EndOffset> => {
    if ("unavailable" in ends) return Promise.resolve(ends);
    const { endOffset, stableOffset, leaderEpoch } = ends;
    return Promise.resolve({ endOffset: isolation === "committed" ? stableOffset : endOffset, leaderEpoch });
  }),
});
