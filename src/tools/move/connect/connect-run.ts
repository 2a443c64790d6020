import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { within } from "../../../system/clock.ts";
import type { KafkaConfig } from "../../../config/log.ts";
import { AppError, isAppError } from "../../../errors.ts";
import type { OperationEnvironment } from "../../environment.ts";
import { interrupted } from "../../scan/scan.ts";
import type { ConnectProgram } from "./find-connect.ts";
import { type Exit, spawnTied, type TiedChild } from "./tied-child.ts";

export interface ConnectRun {
  readonly program: ConnectProgram;
  readonly programEnv: Readonly<Record<string, string | undefined>>;
  readonly kafka: KafkaConfig;
  /** The pipeline's text. */
  readonly pipeline: string;
  /** The pipeline's own settings, such as REPLAY_ID. */
  readonly settings: Readonly<Record<string, string>>;
  /** The directories that the pipeline reads or writes, besides the one made for the run. */
  readonly directories?: readonly string[];
  /** Polled while Connect runs; a changed answer is progress. */
  readonly look: () => Promise<number>;
}

const LOOK_WAIT_MS = 500;
/** The longest time in which nothing arrives and Connect reads nothing. */
const STALL_MS_MAX = 60_000;
const STOP_MS_MAX = 3_000;
const METRICS_MS_MAX = 2_000;
const SAID_LINES_MAX = 5;

/** The brokers' errors, in franz-go's words, after which retrying does not help. Connect would retry for ever. */
const REFUSALS =
  /\b(?:INVALID_TIMESTAMP|MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_RECORD|POLICY_VIOLATION|(?:TOPIC|GROUP|CLUSTER)_AUTHORIZATION_FAILED|SASL_AUTHENTICATION_FAILED)\b[^\n"]*/;

/**
 * Runs a pipeline to its end. Rejects with INTERRUPTED, APPEND_REFUSED where the broker refuses its writes for good,
 * CONNECT_FAILED where it failed or stood still, and OPERATION_REFUSED where it ended itself over a record that it
 * cannot write.
 */
export async function runConnect(env: OperationEnvironment, run: ConnectRun): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "order-processing-connect-"));
  try {
    const pipeline = join(directory, "pipeline.yaml");
    writeFileSync(pipeline, run.pipeline);
    const port = await freePort();
    const settings = { ...brokerSettings(run.kafka, directory), ...run.settings, PIPELINE_PORT: String(port) };
    const name = directory.slice(directory.lastIndexOf("/") + 1);
    const mounts = [directory, ...(run.directories ?? [])];
    const command = run.program.command(pipeline, { name, variables: Object.keys(settings), mounts });
    const child = spawnTied(command, { ...run.programEnv, ...settings }, run.program.onOrphaned(name));
    const exit = await watchUntilExit(env, run, child, `http://127.0.0.1:${port}/metrics`);
    // A pipeline that ends itself over a record says so in the sentence "The … has ended: why".
    const refused = / has ended: (?<why>[^\n"]+)/.exec(child.output())?.groups?.["why"];
    if (refused !== undefined) {
      throw new AppError("OPERATION_REFUSED", `Redpanda Connect cannot write a record as it is: ${refused} (--direct can.)`);
    }
    if (exit.code !== 0) {
      throw new AppError("CONNECT_FAILED", `Redpanda Connect ended (${exit.code ?? exit.signal}). ${lastSaid(child)}`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function watchUntilExit(env: OperationEnvironment, run: ConnectRun, child: TiedChild, metricsUrl: string): Promise<Exit> {
  const { clock, signal } = env;
  try {
    let seen = "";
    let count = 0;
    for (let progressAt_ms = clock.now_ms(); ;) {
      const exit = await within(clock, LOOK_WAIT_MS, child.exited);
      if (exit) return exit;
      if (signal.aborted) throw interrupted();
      const refusal = REFUSALS.exec(child.output())?.[0];
      if (refusal !== undefined)
        throw new AppError("APPEND_REFUSED", `The broker refuses what Redpanda Connect asks of it: ${refusal}`);
      // While the log cannot be reached Connect waits for it too, so that alone does not end it.
      count = await run.look().catch((e: unknown) => {
        if (isAppError(e, "LOG_UNAVAILABLE")) return count;
        throw e;
      });
      const now = `${count} ${await received(metricsUrl)}`;
      if (now !== seen) progressAt_ms = clock.now_ms();
      seen = now;
      if (clock.now_ms() - progressAt_ms > STALL_MS_MAX) {
        throw new AppError("CONNECT_FAILED", `Redpanda Connect moved nothing for ${STALL_MS_MAX / 1_000} s. ${lastSaid(child)}`);
      }
    }
  } finally {
    child.kill("SIGTERM");
    await within(clock, STOP_MS_MAX, child.exited);
    child.kill("SIGKILL");
    await child.exited;
  }
}

/** How many records Connect's inputs have read, by its metrics; empty while it does not serve them. */
async function received(metricsUrl: string): Promise<string> {
  try {
    const answer = await fetch(metricsUrl, { signal: AbortSignal.timeout(METRICS_MS_MAX) });
    return (await answer.text())
      .split("\n")
      .filter((line) => line.startsWith("input_received{"))
      .join(" ");
  } catch {
    return "";
  }
}

function lastSaid(child: TiedChild): string {
  const lines = child.output().trim().split("\n");
  const failures = lines.filter((line) => /level=(error|fatal|warning)|"level":"(error|fatal|warning)"|^[Cc]onfig/.test(line));
  return `It said: ${(failures.length > 0 ? failures : lines).slice(-SAID_LINES_MAX).join(" | ")}`;
}

/** The settings by which pipelines/*.yaml reach the brokers. */
function brokerSettings({ brokers, tls, sasl }: KafkaConfig, directory: string): Record<string, string> {
  const caFile = join(directory, "ca.pem");
  if (tls && tls.ca !== undefined) writeFileSync(caFile, tls.ca);
  return {
    KAFKA_BROKERS: brokers.join(","),
    KAFKA_TLS: String(tls !== false),
    ...(tls && tls.ca !== undefined ? { KAFKA_TLS_CA_FILE: caFile } : {}),
    ...(sasl
      ? {
          KAFKA_SASL_MECHANISM: sasl.mechanism.toUpperCase(),
          KAFKA_SASL_USERNAME: sasl.username,
          KAFKA_SASL_PASSWORD: sasl.password,
        }
      : {}),
  };
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port: 0, host: "127.0.0.1" }, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
