import { AppError } from "../errors.ts";
import type { Endpoint } from "../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../http/endpoint/json-answer.ts";
import type { Fleet } from "./fleet.ts";
import { hopEndpoint, partitionsParameter } from "./hop-endpoint.ts";
import { goodJson } from "./peer-problem.ts";

const STATES_PATH = "/fleet/states";
const STATES_WAIT_MS_MAX = 1_000;

/** What a member has applied of a partition: the records from `startedAt` to `nextOffset`. */
interface AppliedState {
  readonly partition: number;
  readonly startedAt: number;
  readonly nextOffset: number;
}

/** Tells other members what this one has applied of partitions, as their owner or as a standby. */
export const statesHop = (fleet: Fleet, held: () => Iterable<AppliedState>): Endpoint =>
  hopEndpoint(fleet, {
    method: "GET",
    path: STATES_PATH,
    parameters: [partitionsParameter],
    handle: (_, { partitions }) => {
      const asked = [...held()].filter(({ partition }) => partitions.includes(partition));
      const states = asked.map(({ partition, startedAt, nextOffset }) => ({ partition, startedAt, nextOffset }));
      return jsonAnswer(JSON.stringify({ states }));
    },
  });

/**
 * The URL of another member that has applied records of the partition from before `startOffset`; undefined if none has.
 * Rejects with OWNER_UNREACHABLE if one does not tell.
 */
export async function earlierState(fleet: Fleet, partition: number, startOffset: number): Promise<string | undefined> {
  const has = await Promise.all(
    fleet.members.peers.map(async (peer) => {
      const answer = await fleet.send(peer, { path: `${STATES_PATH}?partitions=${partition}` }, STATES_WAIT_MS_MAX);
      if ("failure" in answer) return { url: peer.url, silent: answer.detail };
      try {
        const { states } = goodJson(answer) as { readonly states: readonly AppliedState[] };
        const own = states.find((state) => state.partition === partition);
        return { url: peer.url, isEarlier: own !== undefined && own.nextOffset > 0 && own.startedAt < startOffset };
      } catch (e) {
        return { url: peer.url, silent: `${peer.url} does not tell: ${(e as Error).message}` };
      }
    }),
  );
  const found = has.find(({ isEarlier }) => isEarlier);
  const silent = has.find((one) => one.silent !== undefined)?.silent;
  if (found === undefined && silent !== undefined) throw new AppError("OWNER_UNREACHABLE", silent, { partition });
  return found?.url;
}
