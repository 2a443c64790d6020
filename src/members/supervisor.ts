import { Backoff } from "../log/backoff.ts";
import { type Clock, within } from "../system/clock.ts";
import { EXIT_FAILED, EXIT_USAGE } from "../system/exit-code.ts";
import type { Random } from "../system/random.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { FromMember, MemberView, ServiceName, ToMember } from "./messages.ts";

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | number | null;
}

export interface MemberProcess {
  readonly pid: number;
  /** Does nothing if the process is gone, which `exited` tells. */
  send(message: ToMember): void;
  kill(signal: "SIGTERM" | "SIGKILL"): void;
  readonly exited: Promise<Exit>;
}

/** Throws if the system cannot start a process now. */
export type StartMember = (member: number, onMessage: (message: FromMember) => void) => MemberProcess;

export interface SupervisorOptions {
  readonly members: number;
  readonly services: readonly ServiceName[];
  readonly startMember: StartMember;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** How long members may take to stop before they are killed. */
  readonly stop_wait_ms_max: number;
}

const RESTART_WAITS = { backoff_ms_min: 200, backoff_ms_max: 30_000 };
/** A member that has run this long had a good start. */
const STEADY_MS = 10_000;
/** How long the members have to be ready before one listens on the shared port that is not. */
const SHARE_WAIT_MS = 1_000;
/** If every member ends this often in a row before it is steady, the supervisor ends too. */
const DEATHS_MAX = 5;

/** What a member's process is doing. */
type Running = {
  readonly process: MemberProcess;
  readonly started_ms: number;
  urls: MemberView["urls"] | undefined;
  /** The services that listen on the shared port, or were told to. */
  readonly shared: Set<ServiceName>;
};

/** One member, through all its restarts. */
interface Place {
  readonly member: number;
  readonly backoff: Backoff;
  /** How often in a row it ended before it was steady. */
  deaths: number;
  restarts: number;
  now: Running | "waiting" | "ended";
}

/**
 * Keeps members running, and owns nothing else: no port, no connection, no file. Each member:
 *
 * ```
 *  starting ──its own ports──▶ listening
 *     ▲  └───────────── ends ──────┴──▶ waiting (bounded, with jitter) ──▶ starting
 *     │                            └──▶ ended: it could not begin (exit code 2)
 *  start()                     stop(), or nobody lives: SIGTERM to all, after a bound SIGKILL
 * ```
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #places: readonly Place[];
  readonly #ending = new AbortController();
  readonly #ended = Promise.withResolvers<number>();
  /** The services on whose shared port nobody listens, until one member is told to. */
  readonly #isAwaited = new Set<ServiceName>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#places = Array.from({ length: options.members }, (_, member) => ({
      member,
      backoff: new Backoff(RESTART_WAITS, options.random),
      deaths: 0,
      restarts: 0,
      now: "waiting",
    }));
  }

  /** Resolves with the exit code once no member runs any more. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  start(): void {
    for (const place of this.#places) this.#start(place);
  }

  /** Called again, it does nothing. */
  stop(): void {
    void this.#end(undefined);
  }

  #start(place: Place): void {
    if (this.#ending.signal.aborted) return;
    const { startMember, clock, logger } = this.#options;
    const { member } = place;
    const started_ms = clock.now_ms();
    try {
      const process = startMember(member, (message) => this.#onMessage(running, message));
      const running: Running = { process, started_ms, urls: undefined, shared: new Set() };
      place.now = running;
      void process.exited.then((exit) => this.#onExit(place, running, exit));
    } catch (e) {
      logger.error({ err: e, member }, "The system did not start the member's process.");
      this.#restartLater(place, started_ms);
    }
  }

  #onMessage(running: Running, message: FromMember): void {
    switch (message.kind) {
      case "listening":
        running.urls = message.urls;
        break;
      case "shared":
        running.shared.add(message.service);
        break;
    }
    this.#changed();
  }

  #onExit(place: Place, { process, started_ms }: Running, exit: Exit): void {
    const { clock, logger } = this.#options;
    const { member } = place;
    place.now = "ended";
    if (this.#ending.signal.aborted) return;
    const how = { member, pid: process.pid, ...exit, lived_ms: clock.now_ms() - started_ms };
    if (exit.code === EXIT_USAGE) {
      logger.error(how, "A member could not begin; it said above what to change. It is not started again.");
      if (this.#places.every(({ now }) => now === "ended")) void this.#end(EXIT_USAGE);
    } else {
      logger.warn(how, "A member ended. It is started again.");
      this.#restartLater(place, started_ms);
    }
    this.#changed();
  }

  #restartLater(place: Place, started_ms: number): void {
    const { clock, logger } = this.#options;
    const isSteady = clock.now_ms() - started_ms >= STEADY_MS;
    if (isSteady) place.backoff.reset();
    place.deaths = isSteady ? 1 : place.deaths + 1;
    place.now = "waiting";
    if (this.#places.every((one) => this.#isFailing(one))) {
      logger.fatal(
        `Each member ended ${DEATHS_MAX} times in a row within ${STEADY_MS / 1_000} s of its start, so none is started again. The last lines of their logs say why.`,
      );
      void this.#end(EXIT_FAILED);
      return;
    }
    void clock.sleep(place.backoff.next_ms(), this.#ending.signal).then(() => {
      place.restarts++;
      this.#start(place);
      this.#changed();
    });
  }

  #isFailing({ now, deaths }: Place): boolean {
    if (now === "ended") return true;
    const isSteady = now !== "waiting" && this.#options.clock.now_ms() - now.started_ms >= STEADY_MS;
    return deaths >= DEATHS_MAX && !isSteady;
  }

  /** Tells all members what is known of each, and sees that somebody listens on each shared port. */
  #changed(): void {
    if (this.#ending.signal.aborted) return;
    for (const service of this.#options.services) this.#seeThatShared(service);
    const members = this.#places.map(viewOf);
    for (const { now } of this.#places) if (isRunning(now)) now.process.send({ kind: "members", members });
  }

  /**
   * A member listens there by itself once it is ready. Where none is soon, one is told to all the same, so that the
   * port says what is not ready, as a program without members does.
   */
  #seeThatShared(service: ServiceName): void {
    if (this.#isAwaited.has(service) || !this.#firstToShare(service)) return;
    this.#isAwaited.add(service);
    void this.#options.clock.sleep(SHARE_WAIT_MS, this.#ending.signal).then(() => {
      this.#isAwaited.delete(service);
      const first = this.#firstToShare(service);
      if (!first) return;
      first.shared.add(service);
      first.process.send({ kind: "share", service });
    });
  }

  /** The member that could listen on the shared port; undefined if there is none, or one does already. */
  #firstToShare(service: ServiceName): Running | undefined {
    const running = this.#places.map(({ now }) => now).filter(isRunning);
    if (running.some(({ shared }) => shared.has(service))) return undefined;
    return running.find(({ urls }) => urls !== undefined);
  }

  async #end(code: number | undefined): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    const { clock, logger, stop_wait_ms_max } = this.#options;
    const running = this.#places.map(({ now }) => now).filter(isRunning);
    for (const { process } of running) process.kill("SIGTERM");
    const all = Promise.all(running.map(({ process }) => process.exited));
    if ((await within(clock, stop_wait_ms_max, all)) === undefined) {
      const late = this.#places.filter(({ now }) => isRunning(now)).map(({ member }) => member);
      logger.error({ members: late, stop_wait_ms_max }, "Members have not stopped in time. They are killed.");
      for (const { process } of running) process.kill("SIGKILL");
    }
    const exits = await all;
    this.#ended.resolve(code ?? (exits.every(isAsAsked) ? 0 : EXIT_FAILED));
  }
}

const isRunning = (now: Place["now"]): now is Running => typeof now === "object";

/** A process that has only just begun does not handle the signal yet, and has nothing to put in order. */
const isAsAsked = ({ code, signal }: Exit): boolean => code === 0 || signal === "SIGTERM";

function viewOf({ member, restarts, now }: Place): MemberView {
  if (!isRunning(now)) return { member, restarts, state: now, urls: {}, shared: [] };
  const state = now.urls === undefined ? "starting" : "listening";
  return { member, restarts, state, urls: now.urls ?? {}, shared: [...now.shared] };
}
