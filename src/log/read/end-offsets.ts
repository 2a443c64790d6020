import type { EndOffset, EndOffsets, Isolation, TopicEnds } from "../port.ts";

/** What `endOffsets` tells, of a log whose ends cost one question. */
export const endOffsetsIn = ({ topicId, partitions }: TopicEnds, isolation: Isolation): EndOffsets => ({
  topicId,
  partitions: partitions.map((ends): EndOffset => {
    if ("unavailable" in ends) return ends;
    const { endOffset, stableOffset, leaderEpoch } = ends;
    return { endOffset: isolation === "committed" ? stableOffset : endOffset, leaderEpoch };
  }),
});
