import { AppError } from "../../../errors.ts";
import { type Clock, within } from "../../../system/clock.ts";
import { spawnTied } from "./tied-child.ts";

/** How Redpanda Connect is started here. */
export interface ConnectProgram {
  /** For people. */
  readonly name: string;
  /** The command that runs a pipeline. `mounts` are the directories that it reads and writes, where it does not see this machine's. */
  command(
    pipeline: string,
    run: { readonly name: string; readonly variables: readonly string[]; readonly mounts: readonly string[] },
  ): string[];
  /** What ends it when its client was killed. */
  onOrphaned(name: string): readonly string[] | undefined;
}

const DOCKER_IMAGE = "docker.redpanda.com/redpandadata/connect:4.102.0";
const ANSWER_MS_MAX = 5_000;

const plain = (name: string, command: readonly string[]): ConnectProgram => ({
  name,
  command: (pipeline) => [...command, "run", pipeline],
  onOrphaned: () => undefined,
});

/** Docker's client may be killed without its container: that goes by its name. Secrets are named only, so that they stand in no command line. */
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

/** REDPANDA_CONNECT_BIN, else `redpanda-connect` or `rpk` on PATH, else Docker. Throws CONNECT_NOT_FOUND. */
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
      "or set REDPANDA_CONNECT_BIN; --direct does without it.",
  );
}
