import { type AppError, isAppError } from "../../../errors.ts";
import { type Fleet, HOPS_MS_MAX } from "../../../fleet/fleet.ts";
import type { HopRequest } from "../../../fleet/hops.ts";
import { problemOf } from "../../../fleet/peer-problem.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { Clock } from "../../../system/clock.ts";
import { heldPartition } from "../operator/held-partition.ts";

export interface PassingOnOptions {
  readonly partitions: HeldPartitions;
  readonly fleet: Fleet;
  readonly clock: Clock;
}

/** What of a peer's answer is the client's to see. */
const HEADERS = ["content-type", "cache-control", "retry-after"];

/** Below it, members ask what the same path without it answers to clients. */
export const PASSED_ON = "/fleet";

/**
 * The answer about one partition: of `here`, if it is held here, else its owner's, whole. Rejects with NOT_FOUND if there
 * is no such partition, with PARTITION_ELSEWHERE if the group does not tell who owns it, or with OWNER_UNREACHABLE.
 */
export async function answeredByOwner(
  partition: number,
  request: HopRequest,
  here: () => Response | Promise<Response>,
  { partitions, fleet, clock }: PassingOnOptions,
): Promise<Response> {
  const isHere = () => partitions.get(partition) !== undefined;
  if (isHere()) {
    const own = await orGone(here);
    if (own instanceof Response) return own;
  }
  const owner = fleet.members.ownerOf(partition);
  if (owner === undefined || (owner === "nobody" && partition >= partitions.partitionCount)) heldPartition(partitions, partition);
  const told = await fleet.ask<Response>(
    [partition],
    {
      isHere,
      here: async () => new Map([[partition, await orGone(here)]]),
      request: () => ({ ...request, path: PASSED_ON + request.path }),
      read: (answer) => {
        const problem = problemOf(answer);
        if (problem !== undefined && (isBetweenMembers(problem) || isMoved(problem))) throw problem;
        const headers = HEADERS.flatMap((name): [string, string][] => {
          const value = answer.headers.get(name);
          return value === null ? [] : [[name, value]];
        });
        return new Map([[partition, new Response(answer.text, { status: answer.status, headers })]]);
      },
    },
    clock.now_ms() + HOPS_MS_MAX,
  );
  const answer = told.get(partition);
  if (answer instanceof Response) return answer;
  throw answer ?? new Error(`nothing was told of partition ${partition}`);
}

const isMoved = ({ code }: AppError): boolean => code === "PARTITION_ELSEWHERE" || code === "SHUTTING_DOWN";

/** What a peer cannot answer, and a client is not told in that way. */
const isBetweenMembers = ({ code }: AppError): boolean => code === "METHOD_NOT_ALLOWED" || code === "INTERNAL";

/** The partition may be taken away before it is looked at. */
async function orGone(here: () => Response | Promise<Response>): Promise<Response | AppError> {
  try {
    return await here();
  } catch (e) {
    if (isAppError(e, "PARTITION_ELSEWHERE")) return e;
    throw e;
  }
}
