import packageJson from "../../../package.json" with { type: "json" };
import { freePorts } from "../brokers/ports.ts";
import { tempDir } from "../stores/temp-dir.ts";
import { type Exit, spawnTied } from "./tied-process.ts";
import { waitUntil } from "../wait-until.ts";
import { repository } from "./repository.ts";

const healthy_ms_max = 20_000;
const exit_ms_max = 15_000;

export type Role = "both" | "producer" | "consumer";

export interface ProgramOptions {
  readonly role?: Role;
  /**
   * Settings beside those the harness sets (HOST, ports, DATA_DIR, a short PARTITIONS_SETTLE_MS) and those that
   * `bun start` gives Bun. Nothing is inherited but PATH, HOME and TMPDIR.
   */
  readonly env?: Readonly<Record<string, string>>;
  /** A directory that is kept at the end; without it the program gets one of its own, which is removed with it. */
  readonly dataDir?: string;
  /** The directory of another version of the program. */
  readonly source?: string;
  /** A file that Bun loads before the program. */
  readonly preload?: string;
}

/**
 * The real program in a process of its own. Hold it with `await using`: if it still runs when the scope is left, it is
 * ended with SIGKILL. A scope that is never left (a test that timed out) is covered by the end of the run.
 */
export interface Program extends AsyncDisposable {
  readonly pid: number;
  readonly cartUrl: string;
  readonly orderUrl: string;
  readonly dataDir: string;
  /** stdout and stderr so far. */
  output(): string;
  /** Waits until each service of the role answers 200 on /health/live. */
  live(wait_ms_max?: number): Promise<void>;
  /** Waits until each service of the role answers 200 on /health/ready. */
  ready(wait_ms_max?: number): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** Waits until the process has ended, at most `wait_ms_max`. */
  exited(wait_ms_max?: number): Promise<Exit>;
}

/** What package.json's scripts set for Bun itself, before the command. */
export const bunSettings: Readonly<Record<string, string>> = Object.fromEntries(
  [...packageJson.scripts.start.matchAll(/\b(BUN_\w+)=\$\{\w+:-(\w+)\}/g)].map(([, name, value]) => [
    name as string,
    value as string,
  ]),
);

export async function startProgram({ role = "both", env = {}, dataDir, ...version }: ProgramOptions = {}): Promise<Program> {
  const [cartPort, orderPort] = (await freePorts(2)) as [number, number];
  const ownDir = dataDir === undefined ? await tempDir() : undefined;
  const dir = dataDir ?? ownDir!.path;
  const settings = {
    HOST: "127.0.0.1",
    CART_PORT: String(cartPort),
    ORDER_PORT: String(orderPort),
    DATA_DIR: dir,
    PARTITIONS_SETTLE_MS: "500",
    ...env,
  };
  const { PATH, HOME, TMPDIR } = process.env;
  const preload = version.preload === undefined ? [] : ["--preload", version.preload];
  const tied = spawnTied([process.execPath, ...preload, "src/main.ts", role], {
    cwd: version.source ?? repository,
    env: { PATH, HOME, TMPDIR, ...bunSettings, ...settings },
    ...(ownDir && { onOrphaned: 'rm -rf "$1"', onOrphanedArgs: [dir] }),
  });
  const cartUrl = `http://127.0.0.1:${settings.CART_PORT}`;
  const orderUrl = `http://127.0.0.1:${settings.ORDER_PORT}`;
  const services = { both: [cartUrl, orderUrl], producer: [cartUrl], consumer: [orderUrl] }[role];

  const healthy = async (path: string, wait_ms_max: number) => {
    let last = "nothing yet";
    await waitUntil(
      () => `for 200 on ${path} of ${services.join(" and ")}; the last answer: ${last}\nThe program said:\n${tied.output()}`,
      async () => {
        const exit = tied.exit();
        if (exit)
          throw new Error(`The program ended (${exit.code ?? exit.signal}) before ${path} was 200. It said:\n${tied.output()}`);
        for (const service of services) {
          const { ok, text } = await probe(service + path);
          last = text;
          if (!ok) return false;
        }
        return true;
      },
      { wait_ms_max },
    );
  };
  const exited = (wait_ms_max = exit_ms_max) =>
    Promise.race([
      tied.exited,
      Bun.sleep(wait_ms_max).then(() => {
        throw new Error(`The program was still running after ${wait_ms_max} ms. It said:\n${tied.output()}`);
      }),
    ]);
  return {
    pid: tied.pid,
    cartUrl,
    orderUrl,
    dataDir: dir,
    output: () => tied.output(),
    live: (wait_ms_max = healthy_ms_max) => healthy("/health/live", wait_ms_max),
    ready: (wait_ms_max = healthy_ms_max) => healthy("/health/ready", wait_ms_max),
    kill: (signal) => tied.kill(signal),
    exited,
    [Symbol.asyncDispose]: async () => {
      tied.kill("SIGKILL");
      await tied.exited;
      await ownDir?.[Symbol.asyncDispose]();
    },
  };
}

async function probe(url: string): Promise<{ ok: boolean; text: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    return { ok: response.status === 200, text: `${response.status} ${await response.text()}` };
  } catch (error) {
    return { ok: false, text: String(error) };
  }
}
