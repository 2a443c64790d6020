import { describe, test } from "bun:test";
import { tmpdir } from "node:os";
import { freePort } from "./ports.ts";
import { runBounded, spawnTied, type TiedProcess } from "../programs/tied-process.ts";
import { waitUntil } from "../wait-until.ts";
import { repository } from "../programs/repository.ts";

/** The image of the newest version that the pipelines were run with. */
const image = "docker.redpanda.com/redpandadata/connect:4.102.0";
const answer_ms_max = 5_000;
/** The limit is long because the first run pulls the image. */
const pull_ms_max = 300_000;
const ready_ms_max = 30_000;

type Environment = Readonly<Record<string, string>>;

/** Redpanda Connect, however it is run here. */
export interface Connect {
  readonly kind: "given" | "redpanda-connect" | "rpk" | "docker";
  /** The whole command line for these arguments. */
  readonly command: (args: readonly string[], env: Environment) => readonly string[];
}

/** A running pipeline, for `await using`. */
export interface Pipeline extends AsyncDisposable {
  readonly url: string;
  readonly process: TiedProcess;
  /** Waits until both ends of the pipeline are connected. */
  ready(): Promise<void>;
  /** Sends SIGTERM and resolves with the exit code. */
  stop(): Promise<number | null>;
}

/**
 * Awaits `body` with Redpanda Connect if it is found; no registry has it, so it is not fetched. Without it the suite is
 * skipped with one loud line, even if CI is set. Await this at the top of the file.
 */
export async function connectSuite(name: string, body: (connect: Connect) => void | Promise<void>): Promise<void> {
  const found = await findConnect();
  if ("command" in found) return body(found);
  console.warn(`\n!!! SKIPPED, THIS IS NOT PROVED HERE: ${name}: Redpanda Connect was not found. ${found.unavailable}\n`);
  describe.skip(name, () => test("needs Redpanda Connect", () => {}));
}

/** Runs Connect until it exits, for at most `run_ms_max`. */
export async function runConnect(connect: Connect, args: readonly string[], env: Environment = {}, run_ms_max = 60_000) {
  return runBounded(connect.command(args, env), run_ms_max, inherited(env));
}

/** Starts the pipeline in that file on a port of its own. */
export async function startPipeline(connect: Connect, file: string, settings: Environment): Promise<Pipeline> {
  const port = await freePort();
  const env = { ...settings, PIPELINE_PORT: String(port) };
  const process = spawnTied(connect.command(["run", file], env), { env: inherited(env) });
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    process,
    ready: async () => {
      await waitUntil(
        () => `for the pipeline to be ready. It said:\n${process.output()}`,
        async () => {
          if (process.exit()) throw new Error(`The pipeline ended. It said:\n${process.output()}`);
          const answer = await fetch(`${url}/ready`).catch(() => undefined);
          return answer?.status === 200;
        },
        { wait_ms_max: ready_ms_max },
      );
    },
    stop: async () => {
      process.kill("SIGTERM");
      return (await process.exited).code;
    },
    [Symbol.asyncDispose]: async () => {
      process.kill("SIGKILL");
      await process.exited;
    },
  };
}

let search: Promise<Connect | { readonly unavailable: string }> | undefined;

function findConnect() {
  search ??= searchOnce();
  return search;
}

async function searchOnce(): Promise<Connect | { readonly unavailable: string }> {
  const given = process.env["REDPANDA_CONNECT_BIN"];
  if (given) {
    if (!(await runBounded([given, "--version"], answer_ms_max)).ok) {
      throw new Error(`REDPANDA_CONNECT_BIN=${given} cannot be run; correct it, or unset it to let the tests look elsewhere.`);
    }
    return { kind: "given", command: (args) => [given, ...args] };
  }
  if ((await runBounded(["redpanda-connect", "--version"], answer_ms_max)).ok) {
    return { kind: "redpanda-connect", command: (args) => ["redpanda-connect", ...args] };
  }
  if ((await runBounded(["rpk", "connect", "--version"], answer_ms_max)).ok) {
    return { kind: "rpk", command: (args) => ["rpk", "connect", ...args] };
  }
  const none = "REDPANDA_CONNECT_BIN is not set, neither redpanda-connect nor rpk is on PATH, and";
  if (!(await runBounded(["docker", "info"], answer_ms_max)).ok) return { unavailable: `${none} no Docker engine answers.` };
  if (!(await runBounded(["docker", "run", "--rm", image, "--version"], pull_ms_max)).ok) {
    return { unavailable: `${none} Docker cannot run ${image}.` };
  }
  const places = [repository, tmpdir()].flatMap((path) => ["-v", `${path}:${path}`]);
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  return {
    kind: "docker",
    command: (args, env) => {
      const settings = Object.keys(env).flatMap((name) => ["-e", name]);
      return ["docker", "run", "--rm", "--network=host", "--user", user, ...places, ...settings, image, ...args];
    },
  };
}

function inherited(env: Environment) {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, TMPDIR, ...env };
}
