import type { Connections, Node } from "./connections.ts";
import { kafkaErrorType } from "../protocol/errors.ts";

/** https://kafka.apache.org/protocol#The_Messages_FindCoordinator */
const TYPES = { group: 0, transaction: 1 } as const;

/** Why the brokers have no coordinator, and what to do about it. There is no advice while brokers are away. */
export function noCoordinator(errorType: string, type: keyof typeof TYPES, unreachable: string): string | undefined {
  if (errorType !== "GROUP_COORDINATOR_NOT_AVAILABLE") return undefined;
  if (unreachable !== "") return `the brokers have no ${type} coordinator, and some cannot be reached: ${unreachable}`;
  return TOPIC_WANTS_BROKERS[type];
}

/** For both types, kafkajs uses the name of the group coordinator's error. */
const TOPIC_WANTS_BROKERS = {
  group:
    "the brokers have no group coordinator: does their offsets topic want more brokers than there are (offsets.topic.replication.factor)?",
  transaction:
    "the brokers have no transaction coordinator: does their transaction topic want more brokers than there are (transaction.state.log.replication.factor)?",
};

/**
 * The broker that coordinates a group or a transactional id, connected. If the broker gives a reason, it rejects with
 * kafkajs' own error, which has the reason as its type; else with LOG_UNAVAILABLE.
 */
export async function findCoordinator(connections: Connections, id: string, type: keyof typeof TYPES): Promise<Node> {
  let reason: unknown;
  const found = await connections.any(async (node) => {
    const broker = await node.broker();
    try {
      return await broker.findGroupCoordinator({ groupId: id, coordinatorType: TYPES[type] });
    } catch (e) {
      // The broker has answered, so it is not at fault, and another one would say the same.
      if (kafkaErrorType(e) === undefined) throw e;
      reason = e;
      return undefined;
    }
  });
  if (!found) throw reason;
  return connections.nodeAt(found.coordinator);
}
