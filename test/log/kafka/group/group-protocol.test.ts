import { expect, test } from "bun:test";
import { AssignerProtocol } from "kafkajs";
import {
  decodeAssignment,
  decodeMetadata,
  encodeAssignment,
  encodeMetadata,
  type ToldMember,
} from "../../../../src/log/kafka/group/group-protocol.ts";

const member = {
  topics: ["orders"],
  owned: [1],
  following: [2],
  positions: new Map([
    [1, 70],
    [2, 65],
  ]),
  isWaiting: false,
  isRetiring: false,
  ready: [0],
  standbysPerPartition: 1,
  endpoint: "http://a:8001",
  asked: 2,
  generation: 7,
};
const userData = (value: object): Buffer => Buffer.from(JSON.stringify(value));
const metadataWith = (data: Buffer) => AssignerProtocol.MemberMetadata.encode({ version: 1, topics: ["orders"], userData: data });

test("what a member tells of itself is read as it was told", () => {
  expect(decodeMetadata(encodeMetadata(member))).toEqual(member);
  const little = {
    ...member,
    owned: [],
    following: [],
    positions: new Map(),
    ready: [],
    endpoint: undefined,
    standbysPerPartition: 0,
    asked: 0,
  };
  expect(decodeMetadata(encodeMetadata(little))).toEqual(little);
  const retiring = { ...member, isRetiring: true };
  expect(decodeMetadata(encodeMetadata(retiring))).toEqual(retiring);
  const waiting = { ...member, isWaiting: true };
  expect(decodeMetadata(encodeMetadata(waiting))).toEqual(waiting);
  // A leader of an earlier version deals nothing out to it.
  expect(AssignerProtocol.MemberMetadata.decode(encodeMetadata(waiting))?.topics).toEqual([]);
});

test("a member of an earlier version keeps what it owns, and follows nothing", () => {
  expect(decodeMetadata(metadataWith(userData({ owned: [0], local: [0, 3] })))).toMatchObject({
    owned: [0],
    following: [],
    positions: new Map([
      [3, 0],
      [0, Number.MAX_SAFE_INTEGER],
    ]),
    ready: undefined,
    standbysPerPartition: undefined,
    endpoint: undefined,
    asked: 0,
  });
});

test.each([
  "",
  "null",
  "[1]",
  '"text"',
  '{"owned":{},"positions":[[1],[1,"2"],[1,2.5],[1,-2]],"standbysPerPartition":"many"}',
  "\u0000",
  "\u001f no gzip",
])("user data that are nonsense count as nothing told: %j", (data) => {
  expect(decodeMetadata(metadataWith(Buffer.from(data)))).toEqual({
    topics: ["orders"],
    isWaiting: false,
    isRetiring: false,
    owned: [],
    following: [],
    positions: new Map(),
    ready: undefined,
    endpoint: undefined,
    asked: 0,
    generation: undefined,
    standbysPerPartition: undefined,
  });
});

test("metadata that are no metadata count as a member that reads nothing", () => {
  expect(decodeMetadata(Buffer.from([9, 9]))).toMatchObject({ topics: [], owned: [] });
});

test("each member is told its own share of each topic that it reads, and all members of that topic", () => {
  const orders: ToldMember[] = [
    { id: "a", endpoint: "http://a:1", partitions: [0, 2], standbys: [1], standbysPerPartition: 1 },
    { id: "b", endpoint: undefined, partitions: [1], standbys: [0, 2], warmUps: [2], standbysPerPartition: undefined },
  ];
  const other = [{ id: "b", endpoint: undefined, partitions: [0], standbys: [], standbysPerPartition: 0 }];
  const shares = new Map<string, readonly ToldMember[]>([
    ["orders", orders],
    ["other", other],
  ]);
  const told = (id: string, topic: string) => decodeAssignment(encodeAssignment(id, shares), topic, id);
  const members = [
    { id: "a", endpoint: "http://a:1", partitions: [0, 2], standbys: [1] },
    { id: "b", endpoint: undefined, partitions: [1], standbys: [0, 2], warmUps: [2] },
  ];
  const [ofA, ofB] = orders;
  expect(told("a", "orders")).toEqual({
    assignment: { partitions: [0, 2], standbys: [1], memberId: "a", members },
    told: ofA,
  });
  expect(told("b", "orders")).toEqual({
    assignment: { partitions: [1], standbys: [0, 2], warmUps: [2], memberId: "b", members },
    told: ofB,
  });
  expect(told("b", "other").assignment).toMatchObject({ partitions: [0], standbys: [], memberId: "b", members: [{ id: "b" }] });
  expect(told("a", "other")).toEqual({
    assignment: { partitions: [], standbys: [], memberId: "a", members: [] },
    told: undefined,
  });
});

test("the largest fleet that is promised fits into one record of a broker: 100 members and 1,000 partitions", () => {
  const tens = [0, 100, 200, 300, 400, 500, 600, 700, 800, 900];
  const members = Array.from({ length: 100 }).map((_, n) => ({
    id: `order-processing-${crypto.randomUUID()}`,
    endpoint: `http://10.42.${n % 7}.${n}:8001`,
    partitions: tens.map((ten) => ten + n),
    standbys: tens.map((ten) => ten + ((n + 1) % 100)),
    standbysPerPartition: 1,
  }));
  const all = members.map(({ id }) => encodeAssignment(id, new Map([["orders.events", members]])));
  expect(decodeAssignment(all[7]!, "orders.events", members[7]!.id).told).toEqual(members[7]);
  // Kafka's default of message.max.bytes is 1,048,588; without compression these are about 2 MB.
  expect(all.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(700_000);
});

test("user data that would unpack to more than a bound count as nothing told", () => {
  const bomb = Bun.gzipSync(new Uint8Array(64 * 1024 * 1024));
  expect(decodeMetadata(metadataWith(Buffer.from(bomb)))).toMatchObject({ topics: ["orders"], owned: [] });
});

test("a leader of an earlier version tells the partitions alone", () => {
  const bytes = AssignerProtocol.MemberAssignment.encode({
    version: 1,
    assignment: { orders: [3, 1] },
    userData: Buffer.alloc(0),
  });
  expect(decodeAssignment(bytes, "orders", "a")).toEqual({
    assignment: { partitions: [1, 3], standbys: [], memberId: "a", members: [] },
    told: undefined,
  });
});
