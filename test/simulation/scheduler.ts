import { drainMicrotasks } from "bun:jsc";
import { type Clock, steadyTime } from "../../src/system/clock.ts";

/**
 * Returns numbers in [0, 1) from a seed: sfc32 of PractRand, seeded by splitmix32. The same seed always gives the same
 * numbers.
 */
export function seededRandom(seed: number): () => number {
  let mixed = seed | 0;
  const next = () => {
    mixed = (mixed + 0x9e3779b9) | 0;
    let z = mixed ^ (mixed >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let [a, b, c, d] = [next(), next(), next(), 1];
  const random = () => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 12; i++) random();
  return random;
}

interface Due {
  readonly at_ms: number;
  /** Drawn from the seed; it decides the order of what is due at the same time. */
  readonly rank: number;
  readonly owner: Owner;
  readonly run: () => void;
  isOver: boolean;
}

const START_MS = Date.UTC(2026, 0, 1);

/** A run with more steps than this is taken not to come to rest. */
const STEPS_MAX = 200_000;

const sleepersBySignal = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * What to call when the signal aborts. Each signal has one listener: adding and removing one per sleep took a tenth of
 * a run.
 */
function sleepersOf(signal: AbortSignal): Set<() => void> {
  const known = sleepersBySignal.get(signal);
  if (known) return known;
  const sleepers = new Set<() => void>();
  sleepersBySignal.set(signal, sleepers);
  signal.addEventListener("abort", () => {
    for (const abort of sleepers) abort();
  });
  return sleepers;
}

/** A machine's wall clock, which can be set. */
export interface WallClock {
  /** How far the clock is ahead of the true time. */
  offset_ms: number;
}

/**
 * The owner of running code: a process that can be killed or stopped, or the world around the processes.
 *
 * ```
 *  running ──stop()──▶ stopped, or asleep ──resume()──▶ running, with all that came due meanwhile
 *     └── isDead: nothing of it runs any more
 * ```
 */
export class Owner implements Clock {
  isDead = false;
  /** Called after each of its events. An event runs its code until all of it waits. */
  afterEvent: (() => void) | undefined;
  /** Called after each of its events, before `afterEvent`. */
  onEvent: (() => void) | undefined;
  /**
   * The process's monotonic time, measured as src does on a real machine. It begins with the process, so a time that
   * is compared across processes shows as a bug.
   */
  readonly now_ms: () => number;
  #stopped: { readonly at_ms: number; readonly asleep: boolean } | undefined;
  /** For how long its monotonic clock has stood still. */
  #slept_ms = 0;
  readonly #held: Due[] = [];

  constructor(
    private readonly scheduler: Scheduler,
    readonly name: string,
    private readonly wallClock: WallClock = { offset_ms: 0 },
  ) {
    const born_ms = scheduler.now_ms;
    this.now_ms = steadyTime(
      () => scheduler.now_ms - born_ms - this.#slept_ms,
      () => this.wall_ms(),
    );
  }

  get isStopped(): boolean {
    return this.#stopped !== undefined;
  }

  /**
   * Stops the process alone (SIGSTOP) or with its machine asleep: nothing of it runs until `resume`, and then all that
   * came due meanwhile does.
   */
  stop(asleep: boolean): void {
    this.#readClock();
    this.#stopped = { at_ms: this.scheduler.now_ms, asleep };
  }

  get isAsleep(): boolean {
    return this.#stopped?.asleep === true;
  }

  /**
   * Reads the clock, because a wall clock that is set back between two readings hides that much sleep; no clock that
   * src has could tell.
   */
  #readClock(): void {
    this.now_ms();
  }

  resume(): void {
    if (this.#stopped?.asleep) this.#slept_ms += this.scheduler.now_ms - this.#stopped.at_ms;
    this.#stopped = undefined;
    this.#readClock();
    for (const due of this.#held.splice(0)) this.scheduler.at(this.scheduler.now_ms, due.owner, due.run);
  }

  dispatch(due: Due): void {
    if (this.isDead) return;
    if (this.#stopped) {
      this.#held.push(due);
      return;
    }
    due.run();
    drainMicrotasks();
    if (this.isDead) return;
    this.onEvent?.();
    this.afterEvent?.();
  }

  wall_ms(): number {
    return Math.floor(this.scheduler.now_ms) + this.wallClock.offset_ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const until_ms = this.scheduler.now_ms + Math.max(0, ms);
    return new Promise((resolve) => {
      if (!signal) {
        this.scheduler.at(until_ms, this, resolve);
        return;
      }
      if (signal.aborted) return resolve();
      const sleepers = sleepersOf(signal);
      const abort = () => {
        due.isOver = true;
        resolve();
      };
      const due = this.scheduler.at(until_ms, this, () => {
        sleepers.delete(abort);
        resolve();
      });
      sleepers.add(abort);
    });
  }

  yield(): Promise<void> {
    return new Promise((resolve) => this.scheduler.at(this.scheduler.now_ms, this, resolve));
  }

  /**
   * Delivers what comes from outside to the owner as an event of its own: not while it is stopped, and never once it
   * is dead.
   */
  receive<T>(promise: Promise<T>): Promise<T> {
    return this.#arrival(promise).then(() => promise);
  }

  async #arrival(promise: Promise<unknown>): Promise<void> {
    await promise.catch(() => undefined);
    await this.yield();
  }
}

/**
 * Virtual time, and a seed that decides the order of what is due at the same time. One event runs at a time, down to
 * its last microtask.
 */
export class Scheduler {
  now_ms = START_MS;
  get elapsed_ms(): number {
    return this.now_ms - START_MS;
  }

  steps = 0;
  /** The owner of the event that is running. */
  current: Owner | undefined;
  readonly #heap: Due[] = [];

  constructor(readonly random: () => number) {}

  at(at_ms: number, owner: Owner, run: () => void): Due {
    const heap = this.#heap;
    const due: Due = { at_ms, rank: this.random(), owner, run, isOver: false };
    let i = heap.length;
    heap.push(due);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(due, heap[parent] as Due)) break;
      heap[i] = heap[parent] as Due;
      i = parent;
    }
    heap[i] = due;
    return due;
  }

  /** Runs events until `isOver` returns true or `until_ms` has come. */
  run(until_ms: number, isOver: () => boolean = () => false): void {
    while (!isOver()) {
      const due = this.#heap[0];
      if (due === undefined || due.at_ms > until_ms) break;
      this.#pop();
      if (due.isOver || due.owner.isDead) continue;
      if (++this.steps > STEPS_MAX) throw new Error(`the run does not come to rest within ${STEPS_MAX} steps`);
      this.now_ms = Math.max(this.now_ms, due.at_ms);
      this.current = due.owner;
      due.owner.dispatch(due);
    }
    this.current = undefined;
    if (!isOver()) this.now_ms = Math.max(this.now_ms, until_ms);
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Due;
    const size = heap.length;
    if (size === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && before(heap[child + 1] as Due, heap[child] as Due)) child++;
      if (!before(heap[child] as Due, last)) break;
      heap[i] = heap[child] as Due;
      i = child;
    }
    heap[i] = last;
  }
}

const before = (a: Due, b: Due): boolean => a.at_ms < b.at_ms || (a.at_ms === b.at_ms && a.rank < b.rank);
