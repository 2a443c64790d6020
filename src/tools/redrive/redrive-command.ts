import { invalid, RATE_MAX, readCount, readList, readOptions, readOrders, readTopic, readWindow } from "../arguments.ts";
import { type CommandContext, EXIT_FAILED, EXIT_OK, EXIT_USAGE, failed } from "../command.ts";
import { isForConnect, openConnect, refuseForConnect, timeSetting } from "../move/connect/connect-mover.ts";
import { connectLetterMover, directLetterMover } from "./letter-movers.ts";
import { lockOperation } from "../files/operation-lock.ts";
import { Rate } from "../terminal/rate.ts";
import { moveAll } from "../move/move-all.ts";
import { sameTopic } from "../scan/topics.ts";
import { planRedrive, prepareRedrive, Redriven, type RedriveOrder, reportRedrive } from "./redrive.ts";

export const REDRIVE_USAGE = `Usage: bun run redrive --yes [--reason not_json,…] [--orders ORD-1,ORD-2] [--from TIME] [--to TIME] [--partition N [--offset N]]
       [--topic TOPIC] [--redrives-max N] [--rate N] [--dry-run] [--direct]

Writes dead letters unchanged back to the topic and partition they came from, and counts the redrives in a header. A letter that was redriven
--redrives-max times goes to <topic>.parked instead. Each letter is taken once: letters that were redriven before are passed over, so running
the same command again resumes an interrupted run. Exit code 0: all of them arrived; 1: not all did; 2: nothing was done.

  --reason               reasons, as in the header x-dead-letter-reason
  --orders               order ids
  --from, --to           when the letter was written: 2026-11-25T00:00:00Z, or back from now: -90s, -15m, -1h, -2d (default: all until now)
  --partition, --offset  where the letter is in the dead-letter topic
  --topic                the topic whose dead letters are redriven (default: ORDERS_TOPIC); they are in <topic>.dlq
  --redrives-max         redrives of one record before it is parked (default: 3)
  --rate                 records a second, at most
  --dry-run              counts the letters and changes nothing
  --yes                  required, because the topic is written to
  --direct               on a broker: moves with this program's own producer, without Redpanda Connect
`;

const KINDS = {
  reason: "text",
  orders: "text",
  from: "text",
  to: "text",
  partition: "text",
  offset: "text",
  topic: "text",
  "redrives-max": "text",
  rate: "text",
  "dry-run": "flag",
  yes: "flag",
  direct: "flag",
} as const;
const REDRIVES_MAX = 3;

/** Redrives dead letters. Resolves with the exit code. */
export async function runRedrive(args: readonly string[], context: CommandContext): Promise<number> {
  const { config, env, console } = context;
  const given = readOptions(args, KINDS);
  const topic = readTopic("topic", given.topic ?? config.orders_topic);
  const partition = readIndex("partition", given.partition);
  const offset = readIndex("offset", given.offset);
  if (offset !== undefined && partition === undefined) throw invalid("--offset needs --partition.");
  const started_ms = env.clock.wall_ms();
  const order: RedriveOrder = {
    topic,
    deadLetterTopic: `${topic}.dlq`,
    parkingTopic: `${topic}.parked`,
    selection: {
      ...readWindow(given.from, given.to, started_ms),
      orders: readOrders(given.orders),
      reasons: readList("reason", given.reason),
      partition,
      offset,
    },
    redrives_max: readCount("redrives-max", given["redrives-max"], 1_000) ?? REDRIVES_MAX,
  };
  const rate = new Rate(readCount("rate", given.rate, RATE_MAX) ?? RATE_MAX, env.clock);
  if (given["dry-run"]) {
    await planRedrive(env, console, order);
    return EXIT_OK;
  }
  if (!given.yes) throw invalid(`A redrive writes to ${topic}; with --yes it does, with --dry-run it says what it would do.`);
  // Two runs at a time would take the same letters.
  using _ = lockOperation(config.data_dir, `redrive-${topic}`);
  const connect = isForConnect(config.log) && !given.direct ? await openConnect(context) : undefined;
  let isBegun = false;
  try {
    const plan = await planRedrive(env, console, order);
    // An operator who names one letter wants that one: a letter without its whole record is then a failure.
    if (plan.planned.size === 0) return offset !== undefined && plan.parts > 0 ? EXIT_USAGE : EXIT_OK;
    if (connect) refuseForConnect({ extent: plan.extent, undecodable: plan.undecodable });
    await prepareRedrive(env, console, plan);
    isBegun = true;
    const redriven = new Redriven(env, plan);
    const mover = connect ? connectLetterMover(connect, order, rate) : directLetterMover(env, plan, rate);
    try {
      await moveAll(env, console, {
        target: topic,
        total: plan.planned.size,
        look: () => redriven.look(),
        isWhole: () => redriven.missing().length === 0,
        settle: async () => {
          await sameTopic(env, plan.deadLetters);
          await mover.settle();
        },
        move: (progress) => mover.move(redriven.missing(), progress),
      });
    } finally {
      await mover.close();
    }
    return reportRedrive(console, plan) ? EXIT_OK : EXIT_FAILED;
  } catch (e) {
    const goOn = resumeCommand(given, order, started_ms);
    return failed(console, e, { isBegun, goOn, beginAgain: goOn });
  }
}

/**
 * The command that resumes this run, with this run's times, so that it does not take letters that came back meanwhile.
 */
function resumeCommand(given: ReturnType<typeof readOptions<typeof KINDS>>, { selection }: RedriveOrder, now_ms: number): string {
  const { from_ms, to_ms = now_ms } = selection;
  const times = { ...(from_ms === undefined ? {} : { from: timeSetting(from_ms) }), to: timeSetting(to_ms) };
  const options = Object.entries({ ...given, ...times }).map(([name, value]) =>
    value === true ? `--${name}` : `--${name} ${value}`,
  );
  return `bun run redrive ${options.join(" ")}`;
}

function readIndex(name: string, given: string | undefined): number | undefined {
  if (given === undefined || /^[0-9]{1,15}$/.test(given)) return given === undefined ? undefined : Number(given);
  throw invalid(`--${name} is ${given}; it must be an integer from 0 on.`);
}
