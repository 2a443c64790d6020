import type { Fleet } from "../../../fleet/fleet.ts";
import { goodJson } from "../../../fleet/peer-problem.ts";
import type { PeerAnswer } from "../../../fleet/peer-transport.ts";
import { type PartitionHealth, type Readiness, readiness } from "../../../http/health.ts";
import type { GroupMember } from "../../../log/membership.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { RequestSpan } from "../../../telemetry/tracer.ts";

export const STANDING_PATH = "/fleet/standing";
/** A member that has not told its standing by then is shown without it. */
const STANDING_WAIT_MS_MAX = 1_000;

interface StandingOptions {
  readonly partitions: HeldPartitions;
  readonly fleet: Fleet;
}

/** How one member is, and what it holds. */
export interface Standing extends Readiness {
  readonly partitionCount: number;
}

/** What is known of a member of the fleet. */
export interface MemberStanding {
  readonly url?: string;
  /** Its status, or `unreachable`. */
  readonly status: string;
  readonly reason?: string;
  readonly partitions: readonly number[];
}

export interface FleetStanding extends Standing {
  readonly partitions: readonly (PartitionHealth & { readonly owner?: string })[];
  readonly members: readonly MemberStanding[];
}

export const ownStanding = ({ partitions }: StandingOptions): Standing => ({
  partitionCount: partitions.partitionCount,
  ...readiness(partitions),
});

/** How this member is, what all of them hold, and how the others are. A member that does not answer is told as that. */
export async function fleetStanding(options: StandingOptions, span?: RequestSpan): Promise<FleetStanding> {
  const { all, self } = options.fleet.members;
  const others = all.filter(({ id }) => id !== self);
  const asked = await Promise.all(others.map((member) => askMember(options.fleet, member, span)));
  const own = ownStanding(options);
  const ownUrl = all.find(({ id }) => id === self)?.endpoint;
  const standings = [{ url: ownUrl, standing: own }, ...asked];
  return {
    ...own,
    partitionCount: Math.max(...standings.map(({ standing }) => ("partitionCount" in standing ? standing.partitionCount : 0))),
    partitions: standings
      .flatMap(({ url, standing }) => ("partitionCount" in standing ? standing.partitions.map((one) => owned(one, url)) : []))
      .toSorted((a, b) => a.partition - b.partition),
    members: standings.map(({ url, standing }) => memberOf(url, standing)),
  };
}

const owned = (partition: PartitionHealth, owner: string | undefined) =>
  owner === undefined ? partition : { ...partition, owner };

interface Unknown {
  readonly status: "unreachable";
  readonly reason: string;
  readonly owns: readonly number[];
}

async function askMember(
  fleet: Fleet,
  { id, endpoint: url, partitions: owns }: GroupMember,
  span: RequestSpan | undefined,
): Promise<{ readonly url: string | undefined; readonly standing: Standing | Unknown }> {
  const unknown = (reason: string) => ({ url, standing: { status: "unreachable", reason, owns } as const });
  if (url === undefined) return unknown("It does not say where it can be asked.");
  const answer = await fleet.send({ id, url }, { path: STANDING_PATH, span }, STANDING_WAIT_MS_MAX);
  if ("failure" in answer) return unknown(answer.detail);
  try {
    return { url, standing: standingIn(answer) };
  } catch (e) {
    return unknown(`${url} does not tell: ${(e as Error).message}`);
  }
}

function standingIn(answer: PeerAnswer): Standing {
  const standing = goodJson(answer) as Standing;
  if (!Array.isArray(standing.partitions)) throw new Error("it has no list of partitions");
  return standing;
}

const memberOf = (url: string | undefined, standing: Standing | Unknown): MemberStanding => {
  const { status, reason } = standing;
  const partitions = "owns" in standing ? standing.owns : standing.partitions.map(({ partition }) => partition);
  return { ...(url === undefined ? {} : { url }), status, ...(reason === undefined ? {} : { reason }), partitions };
};
