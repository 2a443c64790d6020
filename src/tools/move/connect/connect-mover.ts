import { readFileSync } from "node:fs";
import type { LogConfig } from "../../../config/log.ts";
import { formatLogPosition } from "../../../log/log-position.ts";
import { AppError } from "../../../errors.ts";
import type { CommandContext } from "../../command.ts";
import type { Mover } from "../mover.ts";
import type { Rate } from "../../terminal/rate.ts";
import type { OffsetRange } from "../../scan/scan.ts";
import type { Survey } from "../../scan/survey.ts";
import { counted } from "../../terminal/table.ts";
import { firstUndecodable } from "../../scan/undecodable.ts";
import { boundedPipeline } from "./bounded-pipeline.ts";
import { runConnect } from "./connect-run.ts";
import { findConnect } from "./find-connect.ts";

/**
 * Connect passes a batch on as a whole, once the rate allows all of it. Below this rate its batches must be smaller.
 */
const SLOW_RECORDS_PER_S = 4_000;
const BATCH_BYTES_MIN = 4 * 1024;
const BYTES_PER_RECORD = 256;

export interface ConnectOptions {
  /** The name of the file in pipelines/, without its extension. */
  readonly pipeline: string;
  /** The topic and the ranges to read; undefined where the pipeline's own input ends by itself. */
  readonly input?: { readonly topic: string; readonly ranges: readonly OffsetRange[] };
  readonly settings: Readonly<Record<string, string>>;
  readonly rate: Rate;
  /** The directories that the pipeline reads or writes. */
  readonly directories?: readonly string[];
  /** See `ConnectRun`. */
  readonly look: () => Promise<number>;
}

/** Runs a pipeline in Redpanda Connect to its end. Rejects as `runConnect` does. */
export type Connect = (options: ConnectOptions) => Promise<void>;

/** Redpanda Connect moves what brokers have. On every other kind of log, this program moves records itself. */
export const isForConnect = (log: LogConfig): log is LogConfig<"kafka"> => log.kind === "kafka";

/** Finds Redpanda Connect. Throws CONNECT_NOT_FOUND where there is none. */
export async function openConnect({ config, env, console, programEnv }: CommandContext): Promise<Connect> {
  const { log: kafka } = config;
  if (!isForConnect(kafka)) throw new AppError("OPERATION_REFUSED", "Redpanda Connect needs a broker.");
  const program = await findConnect(config.redpanda_connect_bin, programEnv, env.clock);
  console.say(`Redpanda Connect: ${program.name}.`);
  return async ({ pipeline: name, input, settings, rate, directories = [], look }) => {
    const file = new URL(`../../../../pipelines/${name}.yaml`, import.meta.url);
    const pipeline = readFileSync(file, "utf8");
    const { records_per_s } = rate;
    const batch_bytes =
      records_per_s < SLOW_RECORDS_PER_S ? Math.max(BATCH_BYTES_MIN, records_per_s * BYTES_PER_RECORD) : undefined;
    const run = (text: string) => runConnect(env, { program, programEnv, kafka, pipeline: text, settings, directories, look });
    if (!input) return run(pipeline);
    for (let at = 0; at < input.ranges.length; at += PARTITIONS_AT_ONCE_MAX) {
      const some = input.ranges.slice(at, at + PARTITIONS_AT_ONCE_MAX).map(({ to, ...range }) => ({ ...range, last: to - 1 }));
      await run(boundedPipeline(pipeline, input.topic, some, batch_bytes));
    }
  };
}

/**
 * Moves by Connect. Connect keeps headers as a map, and so in no order. Its idempotent producer ends with its process:
 * what a killed process had sent may still land, and is then reported as repeated.
 */
export const connectMover = (
  connect: Connect,
  { topic, ...options }: Pick<ConnectOptions, "pipeline" | "settings" | "rate"> & { readonly topic: string },
): Mover => ({
  headersInOrder: false,
  settle: () => Promise.resolve(),
  move: (ranges, progress) => connect({ ...options, input: { topic, ranges }, look: () => progress.look() }),
  close: () => Promise.resolve(),
});

/** Each partition is read by its own input, which has its own connections and buffers. */
const PARTITIONS_AT_ONCE_MAX = 64;

/** The largest timestamp that Connect keeps: franz-go converts it to nanoseconds in 64 bits. */
const CONNECT_TIME_MS_MAX = 9_223_372_036_854;
/** The largest record that Connect writes (its setting max_message_bytes), less room for what an operation adds. */
const CONNECT_RECORD_BYTES_MAX = 990_000;

/** Throws OPERATION_REFUSED where Connect would stop at a record or change it. */
export function refuseForConnect({ extent, undecodable }: Pick<Survey, "extent" | "undecodable">): void {
  const { oldest = 0, newest = 0, largest } = extent;
  const odd = oldest < -CONNECT_TIME_MS_MAX ? oldest : newest > CONNECT_TIME_MS_MAX ? newest : undefined;
  const reason =
    firstUndecodable(undecodable) ??
    (odd === undefined ? undefined : `a record has the timestamp ${odd}`) ??
    (largest && largest.bytes > CONNECT_RECORD_BYTES_MAX
      ? `the record at ${formatLogPosition(largest)} takes up to ${counted(largest.bytes)} bytes`
      : undefined);
  if (reason === undefined) return;
  throw new AppError("OPERATION_REFUSED", `Redpanda Connect cannot move all of it as it is; --direct does. ${reason}`);
}

/** The text of a list or a number for Connect's environment; empty where it is not given. */
export const setting = (given: readonly string[] | number | undefined): string =>
  given === undefined ? "" : typeof given === "number" ? String(given) : given.join(",");

export const timeSetting = (time_ms: number | undefined): string =>
  time_ms === undefined ? "" : new Date(time_ms).toISOString();
