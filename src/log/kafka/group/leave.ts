import { type Clock, within } from "../../../system/clock.ts";
import type { Connections } from "../connection/connections.ts";
import { findCoordinator } from "../connection/coordinator.ts";
import { kafkaErrorType } from "../protocol/errors.ts";
import { type MemberName, sendLeave } from "./group-requests.ts";

/**
 * About as long as it takes for another coordinator to replace one that ends. If a member did not leave, the new one
 * would wait a whole session for it.
 */
const LEAVE_WAIT_MS_MAX = 3_000;
const LEAVE_AGAIN_WAIT_MS = 250;

export interface Leave {
  readonly connect: () => Connections;
  readonly clock: Clock;
  /** Settles when the member's name is known. */
  readonly named: Promise<unknown> | undefined;
  readonly name: () => MemberName;
  /** Whether a join may be under way that the coordinator has not heard of. */
  readonly isJoining: boolean;
}

/**
 * Tells the group that the member leaves. A member that the group has not let go in time loses its partitions when its
 * session ends.
 */
export async function leaveGroup(leave: Leave): Promise<void> {
  const deadline_ms = leave.clock.now_ms() + LEAVE_WAIT_MS_MAX;
  await within(
    leave.clock,
    LEAVE_WAIT_MS_MAX,
    Promise.resolve(leave.named).then(() => leaveInTime(leave, deadline_ms)),
  );
}

async function leaveInTime(leave: Leave, deadline_ms: number): Promise<void> {
  const { memberId, groupInstanceId } = leave.name();
  if (memberId === "" && groupInstanceId === undefined) return;
  // A join that was sent a moment ago may come to the coordinator after the first try.
  let wanted = leave.isJoining && groupInstanceId !== undefined ? 2 : 1;
  for (;;) {
    if (await tryLeave(leave)) wanted--;
    if (wanted === 0 || leave.clock.now_ms() + LEAVE_AGAIN_WAIT_MS >= deadline_ms) return;
    await leave.clock.sleep(LEAVE_AGAIN_WAIT_MS);
  }
}

/**
 * Leaves on a connection of its own: while a broker holds a JoinGroup back, it answers nothing else on that
 * connection.
 */
async function tryLeave({ connect, name }: Leave): Promise<boolean> {
  const connections = connect();
  try {
    await sendLeave(await findCoordinator(connections, name().groupId, "group"), name());
    return true;
  } catch (e) {
    return kafkaErrorType(e) === "UNKNOWN_MEMBER_ID";
  } finally {
    connections.close();
  }
}
