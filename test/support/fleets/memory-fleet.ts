import pino from "pino";
import { cartRole } from "../../../src/compose/cart.ts";
import { orderServiceRole } from "../../../src/compose/order-service.ts";
import type { Role, RoleOptions } from "../../../src/compose/role.ts";
import { readConfig } from "../../../src/config/config.ts";
import type { PeerTransport } from "../../../src/fleet/peer-transport.ts";
import type { OrderService } from "../../../src/services/orders/service.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { MemoryBroker, type MemoryLog, noFaults } from "../../log/memory/memory-log.ts";
import { Disk } from "../../simulation/memory-state.ts";
import { waitUntil } from "../wait-until.ts";

export interface MemberOptions {
  readonly secret?: string;
  readonly endpoint?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly tracer?: RoleOptions["tracer"];
}

interface Member {
  readonly role: Role<OrderService>;
  readonly log: MemoryLog;
  readonly logged: string[];
}

const silent = pino({ level: "silent" });
const SETTINGS = { TOPIC_PARTITIONS: "6", PARTITIONS_SETTLE_MS: "100", SESSION_TIMEOUT_MS: "1000" };

/** Real order services and a cart on a log in memory, in one process; what one asks another passes through here. */
export class MemoryFleet implements AsyncDisposable {
  /** Who does not get through to the log and to the group. */
  readonly away = new Set<string>();
  readonly broker = new MemoryBroker({
    clock: systemClock,
    newUuid: () => crypto.randomUUID(),
    session_ms: 1_000,
    faults: { ...noFaults, away: (name) => this.away.has(name) },
  });
  readonly members = new Map<string, Member>();
  /** What each order service has on its disk, also when it is started again. */
  readonly disks = new Map<string, Disk>();
  /** Every hop that was sent: from whom, to whom, and the path. */
  readonly hops: { readonly from: string; readonly to: string; readonly path: string }[] = [];
  /** Who does not get through to whom: `a>b`. The request is lost, and nothing comes back. */
  readonly cut = new Set<string>();
  /** Whose process is gone: a connection to it is refused at once. */
  readonly dead = new Set<string>();
  #cart: Role | undefined;

  /** Adds an order service and starts it. Others reach it at `http://<name>`. */
  start(name: string, { secret = "s".repeat(32), endpoint = `http://${name}`, env = {}, tracer }: MemberOptions = {}): Member {
    const log = this.broker.connect(name);
    const disk = this.disks.get(name) ?? new Disk({ newUuid: () => name });
    this.disks.set(name, disk);
    const logged: string[] = [];
    const role = orderServiceRole({
      config: readConfig({ ...SETTINGS, HOST: "0.0.0.0", ...env }),
      log,
      claimState: () => disk.claim(),
      logger: createLogger({ level: "info", format: "json", write: (line) => logged.push(line) }),
      clock: systemClock,
      random: Math.random,
      now_s: () => systemClock.now_ms() / 1_000,
      tracer,
      peers: { secret, transport: this.#transport(name), addresses: [], endpoint },
    });
    const member = { role, log, logged };
    this.members.set(name, member);
    role.start();
    return member;
  }

  /** The cart that creates orders; it is made when it is first asked for. */
  get cart(): Role {
    if (this.#cart) return this.#cart;
    const disk = new Disk();
    this.#cart = cartRole({
      config: readConfig(SETTINGS),
      log: this.broker.connect("cart"),
      claimState: () => disk.claim(),
      logger: silent,
      clock: systemClock,
      random: Math.random,
      newUuid: () => crypto.randomUUID(),
    });
    this.#cart.start();
    return this.#cart;
  }

  ask(name: string, path: string, init?: RequestInit): Promise<Response> {
    return this.#member(name).role.app.handle(new Request(`http://${name}${path}`, init));
  }

  /** Creates an order; resolves with its Log-Position. */
  async create(order_id: string): Promise<string> {
    const body = JSON.stringify({ order_id, number_of_items: 1 });
    const headers = { "content-type": "application/json" };
    const request = new Request("http://cart/create-order", { method: "POST", headers, body });
    const response = await this.cart.app.handle(request);
    if (response.status !== 200) throw new Error(await response.text());
    return response.headers.get("log-position") ?? "";
  }

  /** Sets an order's status; resolves with the update's Log-Position. */
  async update(order_id: string, status: string): Promise<string> {
    const headers = { "content-type": "application/json" };
    const init = { method: "PUT", headers, body: JSON.stringify({ order_id, status }) };
    const response = await this.cart.app.handle(new Request("http://cart/update-order", init));
    if (response.status !== 200) throw new Error(await response.text());
    return response.headers.get("log-position") ?? "";
  }

  /** Waits until all these share the partitions, each its part, and have caught up: a newcomer gets none before. */
  async settled(...names: string[]): Promise<void> {
    await waitUntil("for the partitions to be shared", async () => {
      const held = names.flatMap((name) => this.held(name));
      const ready = await Promise.all(names.map(async (name) => (await this.ask(name, "/health/ready")).status === 200));
      const isEach = names.every((name) => this.held(name).length >= Math.floor(6 / names.length));
      return held.length === 6 && new Set(held).size === 6 && isEach && ready.every(Boolean);
    });
  }

  held(name: string): number[] {
    return Array.from(this.#member(name).role.service.partitions.held(), ({ partition }) => partition);
  }

  /** The process ends without a word: nobody hears from it, and it answers nobody. */
  kill(name: string): void {
    this.#member(name).log.crash();
    this.dead.add(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.members.values()].map(({ role }) => role.stop()));
    await this.#cart?.stop();
  }

  #member(name: string): Member {
    const member = this.members.get(name);
    if (!member) throw new Error(`There is no order service ${name}.`);
    return member;
  }

  #transport(from: string): PeerTransport {
    return async ({ url, method, headers }, signal) => {
      const { hostname: to, pathname } = new URL(url);
      this.hops.push({ from, to, path: pathname });
      const gone = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("aborted")));
      });
      if (this.dead.has(to)) throw new Error("connection refused");
      if (this.cut.has(`${from}>${to}`)) return gone;
      const response = await this.#member(to).role.app.handle(new Request(url, { method, headers }));
      const text = await response.text();
      // What comes back takes the other way.
      return this.cut.has(`${to}>${from}`) ? gone : { status: response.status, headers: response.headers, text };
    };
  }
}
