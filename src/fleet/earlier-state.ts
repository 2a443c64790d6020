import { AppError } from "../errors.ts";
import type { Endpoint } from "../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../http/endpoint/json-answer.ts";
import type { GroupMember } from "../log/membership.ts";
import type { Fleet } from "./fleet.ts";
import { hopEndpoint, partitionsParameter } from "./hop-endpoint.ts";
import { goodJson } from "./peer-problem.ts";

const APPLIED_PATH = "/fleet/applied";
const APPLIED_WAIT_MS_MAX = 1_000;

/** The partitions of which a member has applied records, whether or not it holds them now; each with the first offset. */
export type AppliedFrom = ReadonlyMap<number, number>;

/** Looks which of the partitions have applied records here. Throws if that is not known now. */
export type LookApplied = (partitions: readonly number[]) => AppliedFrom;

/** Tells other members of which partitions this one has applied records. */
export const appliedHop = (fleet: Fleet, appliedFrom: LookApplied): Endpoint =>
  hopEndpoint(fleet, {
    method: "GET",
    path: APPLIED_PATH,
    parameters: [partitionsParameter],
    handle: (_, { partitions }) => jsonAnswer(JSON.stringify({ applied: [...appliedFrom(partitions)] })),
  });

/**
 * The URL of another member that has applied records of the partition from before `startOffset`; undefined if none has.
 * Rejects with OWNER_UNREACHABLE if one does not tell.
 */
export async function earlierState(fleet: Fleet, partition: number, startOffset: number): Promise<string | undefined> {
  const { all, self } = fleet.members;
  if (self === undefined) throw new AppError("OWNER_UNREACHABLE", "The group has not told yet who else is there.", { partition });
  const others = all.filter(({ id }) => id !== self);
  const told = await Promise.all(others.map((member) => appliedFromAt(fleet, member, partition)));
  const earlier = told.find((one) => "from" in one && one.from !== undefined && one.from < startOffset);
  if (earlier !== undefined) return earlier.url;
  for (const one of told) if ("silent" in one) throw new AppError("OWNER_UNREACHABLE", one.silent, { partition });
  return undefined;
}

type Told = { readonly url: string | undefined } & ({ readonly from: number | undefined } | { readonly silent: string });

/** From where on the member has applied records of the partition, or why it does not tell. */
async function appliedFromAt(fleet: Fleet, { id, endpoint: url }: GroupMember, partition: number): Promise<Told> {
  if (url === undefined) return { url, silent: `The member ${id} does not say where it can be asked.` };
  const answer = await fleet.send({ id, url }, { path: `${APPLIED_PATH}?partitions=${partition}` }, APPLIED_WAIT_MS_MAX);
  if ("failure" in answer) return { url, silent: answer.detail };
  try {
    const { applied } = goodJson(answer) as { readonly applied?: readonly (readonly [number, number])[] };
    if (applied === undefined) throw new Error("it has no list of partitions");
    return { url, from: new Map(applied).get(partition) };
  } catch (e) {
    return { url, silent: `${url} does not tell: ${(e as Error).message}` };
  }
}
