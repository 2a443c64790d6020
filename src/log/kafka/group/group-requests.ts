import { groupExchange } from "../connection/cluster.ts";
import type { Node } from "../connection/connections.ts";

/** The requests of the group protocol, with their API keys and the last version of each that kafkajs encodes. */
const REQUESTS = {
  joinGroup: { apiKey: 11, version_max: 5 },
  heartbeat: { apiKey: 12, version_max: 3 },
  leaveGroup: { apiKey: 13, version_max: 3 },
  syncGroup: { apiKey: 14, version_max: 3 },
} as const;

/** The first version of JoinGroup that takes an instance id (KIP-345); of the other requests it is 3. */
const INSTANCES_SINCE = 5;

/** Who sends a request. The coordinator gives the member id; it is empty until then. */
export interface MemberName {
  readonly groupId: string;
  readonly memberId: string;
  readonly groupInstanceId: string | undefined;
}

export interface JoinedGroup {
  readonly generationId: number;
  readonly leaderId: string;
  readonly memberId: string;
  /** All members, for the leader alone. The instance id is null for a member without one. */
  readonly members: readonly { memberId: string; groupInstanceId?: string | null; memberMetadata: Buffer }[];
}

export interface JoinOptions {
  readonly sessionTimeout: number;
  readonly rebalanceTimeout: number;
  readonly groupProtocols: readonly { readonly name: string; readonly metadata: Buffer }[];
}

/** Whether the coordinator knows members by instance ids, in all requests. */
export async function knowsInstances(node: Node): Promise<boolean> {
  const versions = await Promise.all(Object.values(REQUESTS).map(({ apiKey }) => node.version(apiKey)));
  const [join = 0, ...others] = versions;
  return join >= INSTANCES_SINCE && others.every((version) => version >= 3);
}

export const sendJoin = (node: Node, member: MemberName, options: JoinOptions): Promise<JoinedGroup> =>
  send(node, "joinGroup", { ...member, ...options, protocolType: "consumer" });

export const sendSync = (
  node: Node,
  member: MemberName,
  generationId: number,
  groupAssignment: readonly { readonly memberId: string; readonly memberAssignment: Buffer }[],
): Promise<{ memberAssignment: Buffer }> => send(node, "syncGroup", { ...member, generationId, groupAssignment });

export const sendHeartbeat = (node: Node, member: MemberName, groupGenerationId: number): Promise<unknown> =>
  send(node, "heartbeat", { ...member, groupGenerationId });

export const sendLeave = (node: Node, member: MemberName): Promise<unknown> => send(node, "leaveGroup", member);

async function send<T>(node: Node, request: keyof typeof REQUESTS, options: object): Promise<T> {
  const { apiKey, version_max } = REQUESTS[request];
  const version = Math.min(await node.version(apiKey), version_max);
  return node.send(groupExchange<T>(request, version, options));
}
