import {
  invalid,
  RATE_MAX,
  readCount,
  readId,
  readList,
  readOptions,
  readOrders,
  readTopic,
  readWindow,
  requireYes,
} from "../arguments.ts";
import { type CommandContext, EXIT_FAILED, EXIT_OK, failed } from "../command.ts";
import {
  connectMover,
  isForConnect,
  openConnect,
  refuseForConnect,
  setting,
  timeSetting,
} from "../move/connect/connect-mover.ts";
import { DirectMover } from "../move/direct-mover.ts";
import { PlanFile } from "../files/plan-file.ts";
import { Rate } from "../terminal/rate.ts";
import {
  compareReplay,
  isWanted,
  moveReplay,
  planReplay,
  previewReplay,
  type ReplayPlan,
  reportReplay,
  sourceOf,
} from "./replay.ts";
import { replayedRecord } from "./replayed-record.ts";

export const REPLAY_USAGE = `Usage: bun run replay [--from TIME] [--to TIME] [--orders ORD-1,ORD-2] [--types ORDER_CREATED,…] [--topic TOPIC] [--target TOPIC]
       [--rate N] [--dry-run] [--yes] [--id NAME] [--skip-undecodable] [--direct]

Writes the matching records to another topic, each with its key, value, headers, partition and timestamp, then compares what arrived with
what should have. A new target is created so that it takes the source's records; an existing one that would not take them is refused. Exit
code 0: all of them arrived; 1: not all did; 2: nothing was done.

  --from, --to   from this time on, and before this time: 2026-11-25T00:00:00Z, or back from now: -90s, -15m, -1h, -2d (default: all)
  --orders       order ids
  --types        event types
  --topic        the topic to read, up to its present end (default: ORDERS_TOPIC)
  --target       the topic to write to (default: orders.replay); created if it is missing
  --rate         records a second, at most
  --dry-run      counts and shows what would be written, and changes nothing
  --yes          required where the target is the live topic, its dead-letter topic, or the topic that is read
  --id           a name for the run; the same name resumes an interrupted run
  --skip-undecodable  exits with 0 even if batches that cannot be decoded were left out; they are named
  --direct       on a broker: moves with this program's own producer, without Redpanda Connect
`;

const DEFAULT_TARGET = "orders.replay";
const KINDS = {
  from: "text",
  to: "text",
  orders: "text",
  types: "text",
  topic: "text",
  target: "text",
  rate: "text",
  id: "text",
  "dry-run": "flag",
  yes: "flag",
  "skip-undecodable": "flag",
  direct: "flag",
} as const;
/** The options that the plan keeps, and that therefore cannot be given again when a run is resumed. */
const PLANNED = ["from", "to", "orders", "types", "topic", "target"] as const;

/** Replays records. Resolves with the exit code. */
export async function runReplay(args: readonly string[], context: CommandContext): Promise<number> {
  const { config, env, console, newUuid } = context;
  const given = readOptions(args, KINDS);
  const now_ms = env.clock.wall_ms();
  const id = readId(given.id, now_ms, newUuid());
  const rate = new Rate(readCount("rate", given.rate, RATE_MAX) ?? RATE_MAX, env.clock);
  const order = {
    id,
    topic: readTopic("topic", given.topic ?? config.orders_topic),
    target: readTopic("target", given.target ?? DEFAULT_TARGET),
    selection: {
      ...readWindow(given.from, given.to, now_ms),
      orders: readOrders(given.orders),
      types: readList("types", given.types),
    },
  };
  if (given["dry-run"]) {
    await previewReplay(env, console, order);
    return EXIT_OK;
  }
  const logId = await env.log.id();
  using file = PlanFile.hold<ReplayPlan>(config.data_dir, "replay", id);
  const earlier = file.read(logId);
  const again = PLANNED.filter((name) => given[name] !== undefined);
  if (earlier && again.length > 0) {
    throw invalid(`The replay ${id} was begun before and goes on as it was: leave --${again[0]} out, or take another --id.`);
  }
  const isDirect = !isForConnect(config.log) || given.direct === true;
  if (earlier && earlier.isDirect !== isDirect) {
    throw invalid(`The replay ${id} was begun ${earlier.isDirect ? "with" : "without"} --direct, and goes on like that.`);
  }
  const { topic, target } = earlier ?? order;
  if (!given.yes && target === topic) throw invalid(`${target} is what is read; with --yes it is written to.`);
  requireYes(target, given.yes, config);
  // Redpanda Connect must be found before anything is created.
  const connect = isDirect ? undefined : await openConnect(context);
  const plan =
    earlier ??
    (await planReplay(env, console, { ...order, isDirect }, file, logId, isDirect ? () => undefined : refuseForConnect));
  const mover = connect
    ? connectMover(connect, { pipeline: "replay", topic, rate, settings: pipelineSettings(plan, rate) })
    : new DirectMover({
        env,
        rate,
        topic: sourceOf(plan),
        target,
        fencingId: `${target}.replay.${id}`,
        toRecord: (record, partition) => (isWanted(plan, record) ? replayedRecord(record, partition, topic, id) : undefined),
      });
  const resume = `bun run replay --id ${id}${given.yes ? " --yes" : ""}${given["skip-undecodable"] ? " --skip-undecodable" : ""}${given.direct ? " --direct" : ""}`;
  console.say(`Replay ${id}. If it is interrupted: ${resume}`);
  try {
    await moveReplay(env, console, plan, mover);
    const compared = await compareReplay(env, console, plan, mover.headersInOrder);
    return reportReplay(console, plan, compared, given["skip-undecodable"] === true) ? EXIT_OK : EXIT_FAILED;
  } catch (e) {
    return failed(console, e, { isBegun: true, goOn: resume, beginAgain: "the command without --id, or with another one" });
  } finally {
    await mover.close();
  }
}

const pipelineSettings = ({ id, topic, target, selection }: ReplayPlan, rate: Rate): Record<string, string> => ({
  REPLAY_ID: id,
  REPLAY_TOPIC: topic,
  REPLAY_TARGET: target,
  REPLAY_FROM: timeSetting(selection.from_ms),
  REPLAY_TO: timeSetting(selection.to_ms),
  REPLAY_ORDERS: setting(selection.orders),
  REPLAY_TYPES: setting(selection.types),
  REPLAY_RATE: setting(rate.records_per_s),
});
