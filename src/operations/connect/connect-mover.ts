import { readFileSync } from "node:fs";
import { AppError } from "../../errors.ts";
import type { CommandContext } from "../command.ts";
import type { Mover } from "../mover.ts";
import type { Rate } from "../rate.ts";
import { boundedPipeline } from "./bounded-pipeline.ts";
import { runConnect } from "./connect-run.ts";
import { findConnect } from "./find-connect.ts";

/** A batch goes on as a whole, when the rate has let all of it pass. */
const BATCH_BYTES_MAX = 1024 * 1024;
const BATCH_BYTES_MIN = 4 * 1024;
const BYTES_PER_RECORD = 256;

export interface ConnectMoverOptions {
  /** The name of the file in pipelines/, without its ending. */
  readonly pipeline: string;
  readonly topic: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly rate: Rate;
}

export const pipelineText = (name: string): string =>
  readFileSync(new URL(`../../../pipelines/${name}.yaml`, import.meta.url), "utf8");

/** A mover that runs a pipeline of pipelines/ in Redpanda Connect. Throws CONNECT_NOT_FOUND at once. */
export async function connectMover({
  config,
  env,
  console,
  programEnv,
}: CommandContext): Promise<(options: ConnectMoverOptions) => Mover> {
  const { kafka } = config;
  if (!kafka) throw new AppError("OPERATION_REFUSED", "Redpanda Connect needs a broker.");
  const program = await findConnect(config.redpanda_connect_bin, programEnv, env.clock);
  console.say(`Redpanda Connect: ${program.name}.`);
  return ({ pipeline, topic, settings, rate }) => ({
    // Connect keeps headers as a map.
    headersInOrder: false,
    // It writes by an idempotent producer that ends with its process: what was on its way then may still land, and is told as repeated.
    settle: () => Promise.resolve(),
    move: (ranges, progress) => {
      const batch_bytes = Math.min(BATCH_BYTES_MAX, Math.max(BATCH_BYTES_MIN, rate.records_per_s * BYTES_PER_RECORD));
      const inputs = ranges.map(({ partition, from, to }) => ({ topic, partition, from, through: to - 1 }));
      return runConnect(env, {
        program,
        programEnv,
        kafka,
        pipeline: boundedPipeline(pipelineText(pipeline), inputs, batch_bytes),
        settings,
        look: () => progress.look(),
      });
    },
    close: () => Promise.resolve(),
  });
}

/** As the environment takes a list, a time or a number; what is not given is empty. */
export const setting = (given: readonly string[] | number | undefined): string =>
  given === undefined ? "" : typeof given === "number" ? String(given) : given.join(",");

export const timeSetting = (time_ms: number | undefined): string =>
  time_ms === undefined ? "" : new Date(time_ms).toISOString();
