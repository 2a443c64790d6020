import type { Clock } from "../../../system/clock.ts";
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

/** The group knows the member no longer, or not as it was: it has dealt out what that had. */
const PUT_OUT = ["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION"];

export const isPutOut = (type: string | undefined): boolean => type !== undefined && PUT_OUT.includes(type);

export const isSettling = (type: string | undefined): boolean => type !== undefined && SETTLING.includes(type);

export interface JoinFailure {
  readonly group: string;
  readonly type: string | undefined;
  readonly error: unknown;
  /** Names the brokers that are away. */
  readonly unreachable: string;
  /** How long the process stood still before; see `sleepNoting`. */
  readonly stood_ms: number;
  readonly session_timeout_ms: number;
}

/** Why a member is not in its group, and what to do about it: sentences. */
export function whyNotJoined({ group, type, error, unreachable, stood_ms, session_timeout_ms }: JoinFailure): string {
  const again = "gave its partitions to others. It joins again by itself; nothing is to be done.";
  if (stood_ms >= session_timeout_ms && (type === undefined || isPutOut(type)))
    return `This process stood still for ${Math.round(stood_ms / 1_000)} s, as where it was stopped or its machine paused; the group ${group} did not hear from it for SESSION_TIMEOUT_MS and ${again}`;
  if (isPutOut(type)) return `${type}: the group ${group} did not hear from this process in time and ${again}`;
  const advice = type === undefined ? undefined : (noCoordinator(type, "group", unreachable) ?? ADVICE[type]);
  return `The group ${group} cannot be joined: ${advice === undefined ? causeOf(error) : `${type}: ${advice}`}.`;
}

/** Sleeps. Resolves with how much longer than `ms` that took, as where the process was stopped meanwhile (SIGSTOP). */
export async function sleepNoting(clock: Clock, ms: number, signal: AbortSignal): Promise<number> {
  const began_ms = clock.now_ms();
  await clock.sleep(ms, signal);
  return Math.max(0, clock.now_ms() - began_ms - ms);
}
