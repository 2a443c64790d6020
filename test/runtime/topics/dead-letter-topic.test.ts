import { expect, test } from "bun:test";
import { applied, described, ROOMY, topicsRig, watched } from "./topics-rig.ts";

test("dead letters that are gone with their topic are told, whoever made it anew, and how to have them again", async () => {
  const gone = (warnings: readonly string[]) =>
    warnings.filter((warning) => warning.includes("the letters that were in it are gone"));
  const letters = (topicId: string) => ({ ...described(ROOMY), topicId });
  const {
    topics: make,
    there,
    warned,
    minute,
  } = topicsRig({ "orders.events": described({}), "orders.events.dlq": letters("a") });
  const topics = make(3);
  await using _ = await watched(topics);
  await minute();
  expect(gone(warned())).toEqual([]);
  // Another program creates the topic anew.
  there["orders.events.dlq"] = letters("b");
  await minute();
  expect(gone(warned())).toEqual([expect.stringContaining("POST /partitions/<partition>/rebuild")]);
  // The service creates the topic anew.
  delete there["orders.events.dlq"];
  await topics.create();
  expect(gone(warned())).toHaveLength(2);
  await minute();
  expect(gone(warned())).toHaveLength(2);
});

test.each([
  ["with state tells of letters that are gone with their topic", "/data/state", 1],
  ["without state has no letters that could be gone", undefined, 0],
])("a service that starts %s", async (_, state, warnings) => {
  const { topics: make, warned } = topicsRig({ "orders.events": described({}) });
  await make(3, () => applied(state)).prepare(new AbortController().signal);
  expect(warned().filter((warning) => warning.includes("the letters that were in it are gone"))).toHaveLength(warnings);
});

test("the dead letters of a topic that was there have room for its largest record", async () => {
  const { topics: make, created } = topicsRig({ "orders.events": described({ "max.message.bytes": "5242880" }) });
  await make().prepare(new AbortController().signal);
  expect(created).toEqual([["orders.events.dlq", 4, { replicas: undefined, record_bytes_max: 5_242_880 + 16_384 }]]);
});
