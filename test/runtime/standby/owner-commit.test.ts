import { expect, test } from "bun:test";
import { committedOffset, isOf, ownerCommit } from "../../../src/runtime/standby/owner-commit.ts";

test("what an owner tells with its offset comes back as it was", () => {
  const told = { nextOffset: 7, topicId: "t", kind: "orders@3", digest: "d" };
  expect(ownerCommit(committedOffset(told))).toEqual(told);
  expect(ownerCommit(committedOffset({ nextOffset: 7 }))).toEqual({ nextOffset: 7 });
});

test.each([undefined, "", "no JSON", "null", "[]", '{"topicId":5,"digest":{}}'])(
  "metadata of another program, %p, say nothing",
  (metadata) => {
    expect(ownerCommit({ nextOffset: 7, metadata })).toEqual({ nextOffset: 7 });
  },
);

test("where there is too much to tell, the offset alone is told", () => {
  expect(committedOffset({ nextOffset: 7, kind: "é".repeat(2_100) })).toEqual({ nextOffset: 7 });
});

test("a commit counts for the topic that the log has, up to its end", () => {
  const commit = { nextOffset: 7, topicId: "t" };
  expect([isOf(commit, "t", 7), isOf(commit, "t", 6), isOf(commit, "u", 7)]).toEqual([true, false, false]);
  // Not every log tells ids, and an owner of an earlier version tells none.
  expect([isOf(commit, undefined, 7), isOf({ nextOffset: 7 }, "t", 7)]).toEqual([true, true]);
});
