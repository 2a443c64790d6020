import { cartRole } from "../../../src/compose/cart.ts";
import type { Role } from "../../../src/compose/role.ts";
import { readConfig } from "../../../src/config/config.ts";
import { NotSent, type PeerTransport } from "../../../src/fleet/peer-transport.ts";
import type { CartService } from "../../../src/services/cart/service.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { MemoryBroker, type MemoryLog } from "../../log/memory/memory-log.ts";
import { Disk } from "../../simulation/memory-state.ts";
import { waitUntil } from "../wait-until.ts";

const newUuid = () => crypto.randomUUID();
export const CART_FLEET_PARTITIONS = 6;
const SETTINGS = {
  TOPIC_PARTITIONS: String(CART_FLEET_PARTITIONS),
  PARTITIONS_SETTLE_MS: "300",
  SESSION_TIMEOUT_MS: "1000",
  INDEX_REPLICAS: "1",
  APPEND_WAIT_MS_MAX: "3000",
};

interface Member {
  readonly role: Role<CartService>;
  readonly log: MemoryLog;
}

/** What became of a command: its position, or the code of the problem. */
export interface CommandAnswer {
  readonly status: number;
  readonly code: string;
  readonly position: string;
}

/** Carts that share the index of a log in memory, in one process; what one asks another passes through here. */
export class CartFleet implements AsyncDisposable {
  readonly broker = new MemoryBroker({ clock: systemClock, newUuid, session_ms: 1_000 });
  readonly members = new Map<string, Member>();
  /** Every hop that was sent: from whom, to whom, and the path. */
  readonly hops: { readonly from: string; readonly to: string; readonly path: string }[] = [];
  /** Who does not hear from whom: `a>b`. What is sent there is carried out or not, and nothing comes back. */
  readonly cut = new Set<string>();
  readonly dead = new Set<string>();
  readonly #disks = new Map<string, Disk>();
  readonly logged: string[] = [];

  /** Adds a cart and starts it. Others reach it at `http://<name>`. */
  start(name: string, env: Readonly<Record<string, string>> = {}): Member {
    const log = this.broker.connect(name);
    const disk = this.#disks.get(name) ?? new Disk({ newUuid: () => name });
    this.#disks.set(name, disk);
    this.dead.delete(name);
    const role = cartRole({
      config: readConfig({ ...SETTINGS, HOST: "0.0.0.0", ...env }),
      log,
      claimState: () => disk.claim(),
      logger: createLogger({ level: "info", format: "json", write: (line) => this.logged.push(line) }),
      clock: systemClock,
      random: Math.random,
      newUuid,
      now_s: () => systemClock.now_ms() / 1_000,
      peers: { secret: "s".repeat(32), transport: this.#transport(name), addresses: [], endpoint: `http://${name}` },
    });
    const member = { role, log };
    this.members.set(name, member);
    role.start();
    return member;
  }

  async create(
    name: string,
    orderId: string,
    headers: Readonly<Record<string, string>> = {},
    customer_id = "CUST-1",
  ): Promise<CommandAnswer> {
    return this.#command(name, "POST", "/create-order", { order_id: orderId, number_of_items: 1, customer_id }, headers);
  }

  async update(
    name: string,
    orderId: string,
    status: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<CommandAnswer> {
    return this.#command(name, "PUT", "/update-order", { order_id: orderId, status }, headers);
  }

  /** The carts whose processes live. */
  get alive(): string[] {
    return [...this.members.keys()].filter((name) => !this.dead.has(name));
  }

  held(name: string): number[] {
    return Array.from(this.#member(name).role.service.partitions.held(), ({ partition }) => partition);
  }

  /** Waits until all these are ready and have each partition that often among them. */
  async settled(copies: number, ...names: string[]): Promise<void> {
    await waitUntil(
      () => `for the indexes to be shared: ${JSON.stringify(names.map((name) => this.held(name)))}`,
      async () => {
        const held = names.flatMap((name) => this.held(name));
        const ready = await Promise.all(names.map(async (name) => (await this.#ask(name, "/health/ready")).status === 200));
        const isEach = names.every((name) => this.held(name).length > 0);
        return ready.every(Boolean) && isEach && held.length === CART_FLEET_PARTITIONS * copies;
      },
    );
  }

  /** The process ends without a word. */
  kill(name: string): void {
    this.#member(name).log.crash();
    this.dead.add(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What a dead process awaits never comes.
    await Promise.all(this.alive.map((name) => this.#member(name).role.stop()));
  }

  async #command(
    name: string,
    method: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>>,
  ): Promise<CommandAnswer> {
    const init = { method, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
    const response = await this.#ask(name, path, init);
    const told = (await response.json()) as { readonly code?: string };
    return { status: response.status, code: told.code ?? "ok", position: response.headers.get("log-position") ?? "" };
  }

  #ask(name: string, path: string, init?: RequestInit): Promise<Response> {
    return this.#member(name).role.app.handle(new Request(`http://${name}${path}`, init));
  }

  #member(name: string): Member {
    const member = this.members.get(name);
    if (!member) throw new Error(`There is no cart ${name}.`);
    return member;
  }

  #transport(from: string): PeerTransport {
    return async ({ url, method, headers, body }, signal) => {
      const { hostname: to, pathname } = new URL(url);
      this.hops.push({ from, to, path: pathname });
      const gone = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("aborted")));
      });
      if (this.dead.has(to)) throw new NotSent("connection refused");
      if (this.cut.has(`${from}>${to}`)) return gone;
      const response = await this.#member(to).role.app.handle(
        new Request(url, { method, headers, ...(body !== undefined && { body }) }),
      );
      const text = await response.text();
      return this.cut.has(`${to}>${from}`) ? gone : { status: response.status, headers: response.headers, text };
    };
  }
}
