import type { Assignment, GroupOptions } from "../../membership.ts";
import { encodeMetadata, type MemberMetadata } from "./group-protocol.ts";

/** What a member tells of itself when it joins: what it was dealt last, and how far its state is now. */
export const ownMetadata = (
  { topic, localPositions, ready, standbysPerPartition = 0, endpoint }: GroupOptions,
  last: Assignment | undefined,
  rest: Pick<MemberMetadata, "isWaiting" | "isRetiring" | "asked" | "generation">,
): Buffer =>
  encodeMetadata({
    ...rest,
    topics: [topic],
    owned: last?.partitions ?? [],
    following: last?.standbys ?? [],
    positions: localPositions(),
    ready: ready?.() ?? [],
    standbysPerPartition,
    endpoint,
  });
