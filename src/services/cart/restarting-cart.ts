import type { LogPosition } from "../../log/log-position.ts";
import type { Change } from "../../orders/events/kinds.ts";
import type { HeldPartitions } from "../../runtime/held-partitions.ts";
import type { CartCommands, CreateOrder, RequestContext } from "./commands/commands.ts";

/** The cart service that `RestartingCart` replaces with a new one. */
export interface Cart {
  readonly commands: CartCommands;
  readonly partitions: HeldPartitions;
  /** A sentence about what the log refused recently. */
  readonly refusal: string | undefined;
  start(): void;
  stop(): Promise<void>;
}

/** A disk that damages the index more often than this cannot be trusted with another one. */
const RESTARTS_MAX = 3;

/**
 * A cart service that starts anew when its index turns out to be damaged. Everything that it knows in memory (which
 * prefix of the log, which own creates) rests on what the index held, so all of it is dropped. In the meantime its
 * commands are answered 503.
 *
 * ```
 *  made ──start()──▶ running ──the index is damaged──▶ stopping ──▶ running, its index rebuilt from the log
 *                       └─────────── stop() ─────────────┴────────▶ stopped
 * ```
 */
export class RestartingCart implements CartCommands, Cart {
  readonly commands = this;
  #current: Cart;
  #restarts = 0;
  /** Why the index that the next service finds is damaged. */
  #damage: string | undefined;
  #isStopped = false;
  #restarting: Promise<void> | undefined;

  /**
   * `make` makes a service. It is given a callback to call when the index is damaged, and the reason why the existing
   * index must not be used.
   */
  constructor(
    private readonly make: (onIndexDamaged: (reason: string) => void, damage: string | undefined) => Cart,
    private readonly onError: (message: string) => void,
  ) {
    this.#current = this.#makeCart();
  }

  start(): void {
    this.#current.start();
  }

  get partitions(): HeldPartitions {
    return this.#current.partitions;
  }

  get refusal(): string | undefined {
    return this.#current.refusal;
  }

  create(command: CreateOrder, context: RequestContext): Promise<LogPosition> {
    return this.#current.commands.create(command, context);
  }

  change(orderId: string, change: Change, context: RequestContext): Promise<LogPosition> {
    return this.#current.commands.change(orderId, change, context);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#restarting;
    await this.#current.stop();
  }

  #makeCart(): Cart {
    return this.make((reason) => this.#noteDamage(reason), this.#damage);
  }

  #noteDamage(reason: string): void {
    if (this.#isStopped) return;
    if (this.#restarts++ >= RESTARTS_MAX) {
      this.onError(`The index is damaged again (${reason}), after ${RESTARTS_MAX} new ones. Look at the disk, then restart.`);
      return;
    }
    this.onError(`The index of orders is damaged (${reason}); the cart service begins anew and rebuilds it from the log.`);
    this.#damage = reason;
    this.#restarting = this.#restart();
  }

  async #restart(): Promise<void> {
    await this.#current.stop();
    if (this.#isStopped) return;
    this.#current = this.#makeCart();
    this.#current.start();
  }
}
