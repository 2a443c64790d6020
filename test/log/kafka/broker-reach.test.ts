import { expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { BrokerReach } from "../../../src/log/kafka/connection/broker-reach.ts";
import type { Broker } from "../../../src/log/kafka/connection/cluster.ts";
import { noCoordinator } from "../../../src/log/kafka/connection/coordinator.ts";
import { whyNotJoined } from "../../../src/log/kafka/group/join-failures.ts";

const at = (n: number) => ({ host: `kafka-${n}`, port: 9092 });
const broker = (nodeId: number) => ({ nodeId, ...at(nodeId) });
const refused = new Error("connect ECONNREFUSED");

/** Three brokers in the settings; those `away` cannot be connected to. */
function three(...away: number[]) {
  let passed_ms = 0;
  const tried: string[] = [];
  const isAway = new Set(away);
  const makeBroker = async ({ host }: { host: string }) => {
    const connect = async () => {
      tried.push(host);
      if (isAway.has(Number(host.slice(-1)))) throw refused;
    };
    return { connect, disconnect: async () => undefined } as unknown as Broker;
  };
  const reach = new BrokerReach([at(1), at(2), at(3)], makeBroker, { ...systemClock, now_ms: () => passed_ms });
  return { reach, tried, isAway, pass: (ms: number) => void (passed_ms += ms) };
}

test("where a failure is told, the other brokers that cannot be reached are named too, and those that nobody tried are tried", async () => {
  const { reach, tried } = three(2, 3);
  reach.noteBrokers([broker(1), broker(2), broker(3)]);
  reach.noteAttempt(at(2), refused);
  expect(reach.withUnreachable("broker 2 at kafka-2:9092 does not answer (refused)")).toBe(
    "broker 2 at kafka-2:9092 does not answer (refused)",
  );
  await Bun.sleep(1);
  expect(tried).toEqual(["kafka-1", "kafka-3"]);
  expect(reach.withUnreachable("broker 2 at kafka-2:9092 does not answer (refused)")).toEndWith(
    "(refused); cannot be reached: broker 3 at kafka-3:9092",
  );
  expect(reach.withUnreachable("Partition 0 has no leader now.")).toBe(
    "Partition 0 has no leader now; cannot be reached: broker 2 at kafka-2:9092, broker 3 at kafka-3:9092.",
  );
  // The brokers are not tried again so soon.
  expect(tried).toHaveLength(2);
});

test("a broker that is back is not named, also where nobody but this looks", async () => {
  const { reach, isAway, pass } = three(3);
  await reach.tryAll();
  expect(reach.unreachable()).toBe("the broker at kafka-3:9092");
  isAway.clear();
  pass(5_000);
  await reach.tryAll();
  expect(reach.unreachable()).toBe("");
  expect(reach.withUnreachable("It failed.")).toBe("It failed.");
});

test("one that refuses the login can be reached; one that the metadata name no more is forgotten, unless the settings have it", async () => {
  const { reach, pass } = three(3);
  reach.noteAttempt(at(1), new Error("SASL PLAIN authentication failed"));
  reach.noteBrokers([broker(4)]);
  reach.noteAttempt(at(4), refused);
  await reach.tryAll();
  expect(reach.unreachable()).toBe("the broker at kafka-3:9092, broker 4 at kafka-4:9092");
  pass(600_001);
  expect(reach.unreachable()).toBe("the broker at kafka-3:9092");
});

test("an address that begins like another one is not taken for it", () => {
  const { reach } = three();
  const other = { host: "kafka-1", port: 909 };
  reach.noteAttempt(other, refused);
  expect(reach.unreachable("broker 1 at kafka-1:9092 does not answer")).toBe("the broker at kafka-1:909");
  expect(reach.unreachable("It does not answer: kafka-1:909.")).toBe("");
});

test("while brokers are away nobody is told to look at replication factors", () => {
  const type = "GROUP_COORDINATOR_NOT_AVAILABLE";
  const away = "broker 2 at kafka-2:9092, broker 3 at kafka-3:9092";
  const e = Object.assign(new Error("no coordinator"), { type });
  const why = (refusal: string, unreachable: string) =>
    whyNotJoined({ group: "g", type: refusal, error: e, unreachable, stood_ms: 0, session_timeout_ms: 10_000 });
  for (const told of [why(type, away), noCoordinator(type, "transaction", away)]) {
    expect(told).toContain(away);
    expect(told).not.toContain("replication.factor");
  }
  expect(why(type, "")).toContain("offsets.topic.replication.factor");
  expect(noCoordinator(type, "transaction", "")).toContain("transaction.state.log.replication.factor");
  expect(why("GROUP_AUTHORIZATION_FAILED", away)).toContain("grant this user READ on the group");
});
