import { resolve } from "node:path";
import type { Config } from "../../config/config.ts";
import type { LogConfig } from "../../config/log.ts";
import { unreachable } from "../../errors.ts";
import { kindOfId, logKinds } from "../../log/log-kinds.ts";
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
export function lostLog({ log, data_dir, orders_topic: topic }: Where, state: AppliedState, logId: string): string {
  const others = statePath(data_dir, state.logId);
  if (state.logId === logId) return lostTopic(topic, state, "was it deleted?");
  switch (log.kind) {
    case "embedded":
      return otherThanEmbedded(log, topic, state, others);
    case "kafka":
      return lostTopic(
        topic,
        state,
        "was that cluster lost, or is KAFKA_BROKERS another one's, which then wants a DATA_DIR of its own?",
      );
    default:
      return unreachable(log);
  }
}

function otherThanEmbedded({ path }: LogConfig<"embedded">, topic: string, state: AppliedState, others: string): string {
  const log = resolve(path);
  const kind = kindOfId(state.logId);
  switch (kind) {
    case "embedded":
      return `The embedded log ${log} is another one than that of which there is state in ${state.path}: was that one removed or replaced? It is not used, since the orders of the other would then be unknown. Stop the services, move ${log} and its -wal and -shm away and put the other's in their place; or, to begin without its orders, or where this log has them from an archive, stop the services, move ${others} away and start again.`;
    case "kafka":
      return `The embedded log ${log} has no topic ${topic}, and there is state of it in ${state.path}, from brokers: was KAFKA_BROKERS forgotten? Set it; or, to use the embedded log beside them, set DATA_DIR to another directory; or, to begin without those orders, stop the services, move ${others} away and start again.`;
    default:
      return unreachable(kind);
  }
}

const lostTopic = (topic: string, { path }: AppliedState, cause: string): string =>
  `The topic ${topic} does not exist, and there is state of it in ${path}: ${cause} It is not made anew, since its orders would then be unknown. Restore it from an archive into a topic of another name and set ORDERS_TOPIC to that; or, to begin without its orders, stop the services, move that state away and start again. A topic of this name that you create by hand is read, and disagrees with the state until that is moved away.`;
