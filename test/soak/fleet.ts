import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { freePorts } from "../support/brokers/ports.ts";
import { bunSettings } from "../support/programs/processes.ts";
import { type Exit, spawnTied, type TiedProcess } from "../support/programs/tied-process.ts";
import type { WorkDir } from "./work-dir.ts";
import { repository } from "../support/programs/repository.ts";

const terminate_ms_max = 15_000;
const probe_ms_max = 1_000;
const probe_wait_ms = 100;
const claim_wait_ms = 50;

/** Members that ask for a standby of each partition; the others do not, so standbys come and go with these. */
const standby_members: ReadonlySet<string> = new Set(["orders-1", "orders-4"]);
/** Members with the storage of snapshots; what they leave behind, one without it has to go on from. */
const snapshot_members: ReadonlySet<string> = new Set(["orders-1", "orders-2", "orders-4"]);
const snapshot_wait_ms = 10_000;

export interface HeldPartition {
  readonly partition: number;
  readonly state: string;
  readonly offset: number;
  readonly digest?: string;
}

export interface Health {
  readonly status: string;
  readonly partitions: readonly HeldPartition[];
  /** Those that it follows without owning them. */
  readonly standbys?: readonly HeldPartition[];
}

export interface FleetOptions {
  readonly workDir: WorkDir;
  readonly env: Readonly<Record<string, string>>;
  readonly random: () => number;
  /** Called when a process ended without being told to, or not in the way it was told to. */
  readonly onBadExit: (member: string, exit: Exit) => void;
  /** Called when a process first became ready, with the time since its start, unless it was stopped in between. */
  readonly onReady: (member: string, took_ms: number) => void;
}

/**
 * One of our processes, started again and again on one port and one data directory.
 *
 * ```
 *  down ──start()──▶ starting ──/health/ready is 200──▶ ready      (SIGSTOP and SIGCONT may come in either)
 *   ▲                    │                                │
 *   └── kill(), terminate(); any other end is a failure ──┘
 * ```
 */
export class Member implements Disposable {
  /** The fault that the member is under now; disposing of the member frees it for the next one. */
  claimedBy: string | undefined;
  /** When the member's last fault ended, by `performance.now()`. */
  freedAt_ms = Number.NEGATIVE_INFINITY;
  isReady = false;
  #process: TiedProcess | undefined;
  #startedAt_ms = 0;

  constructor(
    readonly name: string,
    readonly role: "producer" | "consumer",
    readonly dataDir: string,
    readonly logFile: string,
    readonly port: number,
    private readonly env: Readonly<Record<string, string>>,
    private readonly options: Pick<FleetOptions, "onBadExit" | "onReady">,
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  start(): void {
    if (this.#process) return;
    const { PATH, HOME, TMPDIR } = process.env;
    const port = { [this.role === "producer" ? "CART_PORT" : "ORDER_PORT"]: String(this.port) };
    const env = {
      PATH,
      HOME,
      TMPDIR,
      HOST: "127.0.0.1",
      DATA_DIR: this.dataDir,
      LOG_FORMAT: "json",
      ...bunSettings,
      ...port,
      ...this.env,
    };
    const command = ["sh", "-c", 'exec "$@" >>"$0" 2>&1', this.logFile, process.execPath, "src/main.ts", this.role];
    const started = spawnTied(command, { cwd: repository, env });
    this.#process = started;
    this.#startedAt_ms = performance.now();
    void started.exited.then((exit) => {
      if (this.#process !== started) return;
      this.#process = undefined;
      this.isReady = false;
      this.options.onBadExit(this.name, exit);
    });
    void this.#watch(started);
  }

  async kill(): Promise<void> {
    const ending = this.#forget();
    ending?.kill("SIGKILL");
    await ending?.exited;
  }

  /** Sends SIGTERM; the process must then exit with 0 in time. */
  async terminate(): Promise<void> {
    const wasReady = this.isReady;
    const ending = this.#forget();
    if (!ending) return;
    ending.kill("SIGTERM");
    const timer = setTimeout(() => ending.kill("SIGKILL"), terminate_ms_max);
    const exit = await ending.exited;
    clearTimeout(timer);
    // A program that has only just started does not handle signals yet.
    if (exit.code !== 0 && (wasReady || exit.signal !== "SIGTERM")) this.options.onBadExit(this.name, exit);
  }

  stop(): void {
    this.#startedAt_ms = Number.NaN;
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Resolves with whether the process became ready in time. */
  async ready(wait_ms_max: number): Promise<boolean> {
    const until_ms = performance.now() + wait_ms_max;
    while (this.#process && !this.isReady && performance.now() < until_ms) await Bun.sleep(probe_wait_ms);
    return this.isReady;
  }

  /** The current answer of /health/ready; undefined if there is none. */
  async health(): Promise<Health | undefined> {
    try {
      const response = await fetch(`${this.url}/health/ready`, { signal: AbortSignal.timeout(probe_ms_max) });
      return (await response.json()) as Health;
    } catch {
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    this.claimedBy = undefined;
    this.freedAt_ms = performance.now();
  }

  #forget(): TiedProcess | undefined {
    const ending = this.#process;
    this.#process = undefined;
    this.isReady = false;
    return ending;
  }

  async #watch(started: TiedProcess): Promise<void> {
    while (this.#process === started) {
      if ((await this.health())?.status === "ready" && this.#process === started) {
        this.isReady = true;
        const took_ms = performance.now() - this.#startedAt_ms;
        if (!Number.isNaN(took_ms)) this.options.onReady(this.name, took_ms);
        return;
      }
      await Bun.sleep(probe_wait_ms);
    }
  }
}

/** Three carts, each of which has a share of the index, three order services, and a fourth one that comes and goes. */
export class Fleet {
  private constructor(
    readonly carts: readonly Member[],
    readonly orderServices: readonly Member[],
    readonly visitor: Member,
    /** The directory that is the storage of snapshots. */
    readonly snapshots: string,
    private readonly random: () => number,
  ) {}

  static async make(options: FleetOptions): Promise<Fleet> {
    const names = ["cart-1", "cart-2", "cart-3", "orders-1", "orders-2", "orders-3", "orders-4"];
    const ports = await freePorts(names.length);
    const snapshots = await options.workDir.dataDir("snapshots");
    const members: Member[] = [];
    for (const [i, name] of names.entries()) {
      const dataDir = await options.workDir.dataDir(name);
      const logFile = join(options.workDir.logs, `${name}.log`);
      const role = name.startsWith("cart") ? "producer" : "consumer";
      const env = {
        ...options.env,
        ...(standby_members.has(name) ? { STANDBYS: "1" } : {}),
        ...(snapshot_members.has(name)
          ? { SNAPSHOT_URL: `file://${snapshots}`, SNAPSHOT_WAIT_MS: String(snapshot_wait_ms) }
          : {}),
      };
      members.push(new Member(name, role, dataDir, logFile, ports[i] as number, env, options));
    }
    return new Fleet(members.slice(0, 3), members.slice(3, 6), members[6] as Member, snapshots, options.random);
  }

  /** The members that always run. */
  get permanent(): readonly Member[] {
    return [...this.carts, ...this.orderServices];
  }

  /** The order services that run now, whichever. */
  get asked(): readonly Member[] {
    return this.visitor.isUp ? [...this.orderServices, this.visitor] : this.orderServices;
  }

  /** Those of the three that have snapshots to be restored from. */
  get restorable(): readonly Member[] {
    return this.orderServices.filter(({ name }) => snapshot_members.has(name));
  }

  /** How many lines of the order services' logs have the text. */
  async logged(text: string): Promise<number> {
    const logs = await Promise.all(
      [...this.orderServices, this.visitor].map(({ logFile }) => readFile(logFile, "utf8").catch(() => "")),
    );
    return logs.reduce((sum, log) => sum + log.split(text).length - 1, 0);
  }

  /** Reserves a member for one fault, waiting until one is free; undefined if `signal` aborts first. */
  async claim(fault: string, from: readonly Member[], signal: AbortSignal): Promise<Member | undefined> {
    while (!signal.aborted) {
      const free = from.filter(({ claimedBy }) => claimedBy === undefined);
      const chosen = free[Math.floor(this.random() * free.length)];
      if (chosen) {
        chosen.claimedBy = fault;
        return chosen;
      }
      await Bun.sleep(claim_wait_ms);
    }
    return undefined;
  }

  /** Makes every member run, except for the visitor. */
  async heal(): Promise<void> {
    await this.visitor.terminate();
    for (const member of this.permanent) {
      member.resume();
      member.start();
    }
  }

  async kill(): Promise<void> {
    await Promise.all([...this.permanent, this.visitor].map((member) => member.kill()));
  }
}
