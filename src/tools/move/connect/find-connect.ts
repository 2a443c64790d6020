import { AppError } from "../../../errors.ts";
import { type Clock, within } from "../../../system/clock.ts";
import { spawnTied } from "./tied-child.ts";

/** How Redpanda Connect is started on this machine. */
export interface ConnectProgram {
  /** The program's name in messages. */
  readonly name: string;
  /** The command that runs a pipeline. `mounts` are the directories that a container needs to see. */
  command(
    pipeline: string,
    run: { readonly name: string; readonly variables: readonly string[]; readonly mounts: readonly string[] },
  ): string[];
  /** The command that ends the program after its parent was killed, where killing the child is not enough. */
  onOrphaned(name: string): readonly string[] | undefined;
}

const DOCKER_IMAGE = "docker.redpanda.com/redpandadata/connect:4.102.0";
const ANSWER_MS_MAX = 5_000;

const plain = (name: string, command: readonly string[]): ConnectProgram => ({
  name,
  command: (pipeline) => [...command, "run", pipeline],
  onOrphaned: () => undefined,
});

/**
 * Killing Docker's client does not end its container, which is therefore killed by name. Variables are passed by name,
 * so that no secret stands in a command line.
 */
const docker: ConnectProgram = {
  name: `Docker (${DOCKER_IMAGE})`,
  command: (pipeline, { name, variables, mounts }) => {
    const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
    const places = mounts.flatMap((path) => ["-v", `${path}:${path}`]);
    const settings = variables.flatMap((variable) => ["-e", variable]);
    const options = ["--rm", "--name", name, "--network", "host", "--user", user, ...places, ...settings];
    return ["docker", "run", ...options, DOCKER_IMAGE, "run", pipeline];
  },
  onOrphaned: (name) => ["docker", "kill", name],
};

/** Finds REDPANDA_CONNECT_BIN, else `redpanda-connect` or `rpk` on PATH, else Docker. Throws CONNECT_NOT_FOUND. */
export async function findConnect(
  bin: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  clock: Clock,
): Promise<ConnectProgram> {
  const which = (name: string) => Bun.which(name, { PATH: env["PATH"] ?? "" }) ?? undefined;
  const answers = async (...command: string[]) => {
    const child = spawnTied(command, env);
    const exit = await within(clock, ANSWER_MS_MAX, child.exited);
    child.kill("SIGKILL");
    return exit?.code === 0;
  };
  if (bin !== undefined) {
    if (which(bin)) return plain(bin, [bin]);
    throw new AppError("CONNECT_NOT_FOUND", `REDPANDA_CONNECT_BIN is ${bin}, which is no program that can be run.`);
  }
  if (which("redpanda-connect")) return plain("redpanda-connect", ["redpanda-connect"]);
  if (which("rpk") && (await answers("rpk", "connect", "--version"))) return plain("rpk connect", ["rpk", "connect"]);
  if (which("docker") && (await answers("docker", "info"))) return docker;
  throw new AppError(
    "CONNECT_NOT_FOUND",
    "Redpanda Connect moves the records, and was not found: install it (https://docs.redpanda.com/redpanda-connect/install, or `rpk connect install`) " +
      "or set REDPANDA_CONNECT_BIN; --direct works without it.",
  );
}
