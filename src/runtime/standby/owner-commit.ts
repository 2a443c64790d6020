import { type CommittedOffset, committedWith, toldWith } from "../../log/membership.ts";

/** What the owner of a partition tells those who follow it, with the offset that it commits to the group. */
export interface OwnerCommit {
  /** Everything before it is applied, and its dead letters are appended. */
  readonly nextOffset: number;
  /** The id of the topic that the owner has read. Undefined if the log has none, or if the owner did not say. */
  readonly topicId?: string | undefined;
  /** What the owner folds, as in `storeKindOf`: the digests of others are not comparable. */
  readonly kind?: string | undefined;
  /** The digest of the owner's rows at `nextOffset`. */
  readonly digest?: string | undefined;
}

/**
 * Whether the commit is one of this partition as the log has it. One of another topic, that had the name before, says
 * nothing about the letters of this one; where the log tells topics apart by their ends alone, it may lie beyond the end.
 */
export const isOf = ({ topicId, nextOffset }: OwnerCommit, ownTopicId: string | undefined, endOffset: number): boolean =>
  nextOffset <= endOffset && (topicId === undefined || ownTopicId === undefined || topicId === ownTopicId);

/** Whether two members' digests say anything about each other: equal rows have equal digests (I3). */
export const isComparable = (one: OwnerCommit, other: OwnerCommit): boolean =>
  one.nextOffset === other.nextOffset && one.kind === other.kind && one.digest !== undefined && other.digest !== undefined;

const TOLD = ["topicId", "kind", "digest"] as const;

export const committedOffset = ({ nextOffset, ...told }: OwnerCommit): CommittedOffset => committedWith(nextOffset, told);

export function ownerCommit(committed: CommittedOffset): OwnerCommit {
  const told = toldWith(committed);
  const texts = TOLD.map((name) => [name, told[name]] as const);
  return { nextOffset: committed.nextOffset, ...Object.fromEntries(texts.filter(([, text]) => typeof text === "string")) };
}
