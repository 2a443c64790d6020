import { resolve } from "node:path";
import type { Config } from "../../config/config.ts";
import { embeddedLogPath, isEmbeddedLogId } from "../../log/log-name.ts";
import { type AppliedState, appliedState, type StateOf, statePath } from "./state-dir.ts";

type Where = Pick<Config, "kafka" | "data_dir" | "orders_topic">;

/**
 * Finds what any service with this data directory has applied of the topic, also from logs with other ids: a cluster
 * that was lost comes back under another id, and so does an embedded log. A service on brokers does not consider the
 * state of an embedded log: that log was tried out before, and still exists.
 */
export const stateIn =
  ({ data_dir, orders_topic, kafka }: Where): StateOf =>
  (logId) => {
    const stateOf = (counts: (other: string) => boolean) => appliedState(data_dir, orders_topic, logId, counts);
    const ofCluster = (other: string) => !isEmbeddedLogId(other);
    return kafka ? stateOf(ofCluster) : (stateOf(isEmbeddedLogId) ?? stateOf(ofCluster));
  };

/**
 * Whether the state comes from an embedded log whose file the log with this id has replaced. A data directory has only
 * one embedded log, while it may hold the state of several clusters, one after the other.
 */
export const isExchanged = ({ kafka }: Where, state: AppliedState, logId: string): boolean =>
  kafka === undefined && state.logId !== logId && isEmbeddedLogId(state.logId);

/** Says why the service does not begin without the orders in the state, and what to do. */
export function lostLog(config: Where, state: AppliedState, logId: string): string {
  const { kafka, data_dir, orders_topic: topic } = config;
  const log = resolve(embeddedLogPath(config));
  const others = statePath(data_dir, state.logId);
  if (isExchanged(config, state, logId))
    return `The embedded log ${log} is another one than that of which there is state in ${state.path}: was that one removed or replaced? It is not used, since the orders of the other would then be unknown. Stop the services, move ${log} and its -wal and -shm away and put the other's in their place; or, to begin without its orders, or where this log has them from an archive, stop the services, move ${others} away and start again.`;
  if (kafka === undefined && state.logId !== logId)
    return `The embedded log ${log} has no topic ${topic}, and there is state of it in ${state.path}, from brokers: was KAFKA_BROKERS forgotten? Set it; or, to use the embedded log beside them, set DATA_DIR to another directory; or, to begin without those orders, stop the services, move ${others} away and start again.`;
  const cause =
    state.logId === logId
      ? "was it deleted?"
      : "was that cluster lost, or is KAFKA_BROKERS another one's, which then wants a DATA_DIR of its own?";
  return `The topic ${topic} does not exist, and there is state of it in ${state.path}: ${cause} It is not made anew, since its orders would then be unknown. Restore it from an archive into a topic of another name and set ORDERS_TOPIC to that; or, to begin without its orders, stop the services, move that state away and start again. A topic of this name that you create by hand is read, and disagrees with the state until that is moved away.`;
}
