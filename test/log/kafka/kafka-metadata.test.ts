import { describe, expect, test } from "bun:test";
import { metadataExchange } from "../../../src/log/kafka/protocol/metadata.ts";
import { WireWriter } from "../../../src/log/kafka/protocol/wire.ts";

/** The bits of the operations READ and WRITE. */
const MAY_READ_AND_WRITE = 0b11000;
const TOPIC_ID = "0123456789abcdef0123456789abcdef";

/** An answer as a broker that speaks this version gives it: https://kafka.apache.org/protocol#The_Messages_Metadata */
function answer(version: number, topicId: string): Buffer {
  const isFlexible = version >= 9;
  const out = new WireWriter();
  const text = (value: string) => void (isFlexible ? out.compactString(value) : out.string(value));
  const list = <T>(items: readonly T[], write: (item: T) => void) =>
    void (isFlexible ? out.compactArray(items, write) : out.array(items, write));
  const tags = () => void (isFlexible && out.noTags());
  const absent = () => void (isFlexible ? out.uvarint(0) : out.string(null));
  tags();
  out.int32(0);
  list([1, 2], (nodeId) => {
    out.int32(nodeId);
    text(`host-${nodeId}`);
    out.int32(9090 + nodeId);
    absent();
    tags();
  });
  text("cluster");
  out.int32(2);
  list(["orders"], (topic) => {
    out.int16(0);
    text(topic);
    if (version >= 10) out.uuid(Buffer.from(topicId, "hex"));
    out.int8(0);
    list([1, 0], (partition) => {
      out
        .int16(partition === 0 ? 5 : 0)
        .int32(partition)
        .int32(partition === 0 ? -1 : 2);
      if (version >= 7) out.int32(17);
      list([1, 2, 3], (replica) => out.int32(replica));
      list([2], (replica) => out.int32(replica));
      list([], () => undefined);
      tags();
    });
    if (version >= 8) out.int32(MAY_READ_AND_WRITE);
    tags();
  });
  if (version >= 8 && version <= 10) out.int32(0);
  tags();
  return Buffer.concat(out.done().chunks);
}

describe("the metadata of a topic", () => {
  test.each([5, 7, 8, 9, 10, 11, 12])("are read as version %d has them", async (version) => {
    const exchange = metadataExchange(["orders"], version, 1_000);
    expect(exchange.request.apiVersion).toBe(version);
    const leaderEpoch = version >= 7 ? 17 : -1;
    expect(await exchange.response.decode(answer(version, TOPIC_ID))).toEqual({
      brokers: [
        { nodeId: 1, host: "host-1", port: 9091 },
        { nodeId: 2, host: "host-2", port: 9092 },
      ],
      clusterId: "cluster",
      controllerId: 2,
      topics: [
        {
          topic: "orders",
          topicId: version >= 10 ? TOPIC_ID : undefined,
          errorCode: 0,
          operations: version >= 8 ? MAY_READ_AND_WRITE : undefined,
          partitions: [
            { partition: 0, leader: -1, leaderEpoch, replicas: 3 },
            { partition: 1, leader: 2, leaderEpoch, replicas: 3 },
          ],
        },
      ],
    });
  });

  test("have no topic id where the broker gives none but zeros", async () => {
    const exchange = metadataExchange(["orders"], 12, 1_000);
    const { topics } = await exchange.response.decode(answer(12, "0".repeat(32)));
    expect(topics[0]?.topicId).toBeUndefined();
  });

  test("are asked for in no newer version than is known here", () => {
    expect(metadataExchange([], 99, 1_000).request.apiVersion).toBe(12);
  });
});
