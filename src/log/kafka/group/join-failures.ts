import { noCoordinator } from "../connection/coordinator.ts";
import { causeOf } from "../protocol/errors.ts";

/**
 * Errors that a group answers while it is being set up, moved or rebalanced. They are not worth a report until joining
 * has failed with them for `SETTLING_MS_MAX`.
 */
const SETTLING = [
  "REBALANCE_IN_PROGRESS",
  "GROUP_LOAD_IN_PROGRESS",
  "GROUP_COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR_FOR_GROUP",
];
/** Another process joined under the same instance id. */
export const FENCED = "FENCED_INSTANCE_ID";
export const SETTLING_MS_MAX = 5_000;
/** What a person can do about a refusal. */
const ADVICE: Readonly<Record<string, string>> = {
  [FENCED]:
    "another process joined under the instance id of this one, so the state of one is a copy of the other's. This process takes another id and goes on. Whoever copies a state leaves out the file `instance`, which has the id",
  GROUP_AUTHORIZATION_FAILED: "grant this user READ on the group",
  TOPIC_AUTHORIZATION_FAILED: "grant this user READ on the topic",
  INCONSISTENT_GROUP_PROTOCOL:
    "another program's consumers are in this group, and share it by another protocol; set CONSUMER_GROUP to a name of its own",
  INVALID_SESSION_TIMEOUT:
    "set SESSION_TIMEOUT_MS within the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms",
};

export const isSettling = (type: string | undefined): boolean => type !== undefined && SETTLING.includes(type);

/** Why a group cannot be joined, and what to do about it. `unreachable` names the brokers that are away. */
export function whyNotJoined(type: string | undefined, e: unknown, unreachable: string): string {
  const advice = type === undefined ? undefined : (noCoordinator(type, "group", unreachable) ?? ADVICE[type]);
  return advice === undefined ? causeOf(e) : `${type}: ${advice}`;
}
