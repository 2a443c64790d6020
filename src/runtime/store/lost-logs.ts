import type { Config } from "../../config/config.ts";
import { kindOfId, logKinds, lostTopic, whyLost } from "../../log/log-kinds.ts";
import { type AppliedState, appliedState, type StateOf, statePath } from "./state-dir.ts";

type Where = Pick<Config, "log" | "data_dir" | "orders_topic">;

/**
 * Finds what any service with this data directory has applied of the topic, also from logs with other ids: a cluster
 * that was lost comes back under another id, and so does an embedded log.
 */
export const stateIn =
  ({ data_dir, orders_topic, log }: Where): StateOf =>
  (logId) => {
    for (const kind of logKinds[log.kind].stateCounts) {
      const state = appliedState(data_dir, orders_topic, logId, (other) => kindOfId(other) === kind);
      if (state !== undefined) return state;
    }
    return undefined;
  };

/**
 * Whether the state comes from a log whose file the log with this id has replaced. A data directory has only one
 * embedded log, while it may hold the state of several clusters, one after the other.
 */
export const isExchanged = ({ log }: Pick<Where, "log">, state: AppliedState, logId: string): boolean =>
  logKinds[log.kind].isOnePerDataDir && state.logId !== logId && kindOfId(state.logId) === log.kind;

/** Says why the service does not begin without the orders in the state, and what to do. */
export function lostLog(
  { log, data_dir, orders_topic: topic }: Where,
  { path, logId: lostId }: AppliedState,
  logId: string,
): string {
  const lost = { topic, path, directory: statePath(data_dir, lostId), kind: kindOfId(lostId) };
  return lostId === logId ? lostTopic(lost, "was it deleted?") : whyLost(log, lost);
}
