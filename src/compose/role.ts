import type { HttpApp } from "../http/app.ts";
import { readiness } from "../http/health.ts";
import type { InFlight } from "../http/in-flight.ts";
import { type HttpServer, serve, type ServeOptions } from "../http/serve.ts";
import type { Member } from "../members/member.ts";
import type { HeldPartitions } from "../runtime/held-partitions.ts";
import type { ServiceOptions } from "../services/service-options.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { OrderFigures } from "../telemetry/status-line.ts";
import type { ApplyTracer, RequestTracer } from "../telemetry/tracer.ts";

export interface RoleOptions extends ServiceOptions {
  /** A monotonic clock in seconds, for measuring durations only. Without it there are no metrics. */
  readonly now_s?: () => number;
  readonly tracer?: (RequestTracer & ApplyTracer) | undefined;
  /** The member that this process is, if several share the role's port. */
  readonly member?: Member | undefined;
}

/** A service without its HTTP side, which does a role's work. */
interface Service {
  readonly partitions: HeldPartitions;
  start(): void;
  handOver?(): Promise<void>;
  stop(): Promise<void>;
}

/** The live views of the service, which run beside it. */
interface Views {
  readonly orderFigures: () => OrderFigures;
  start(): void;
  /** Ends the views' streams, which would not end by themselves. */
  close(): void;
}

interface RoleParts<Work extends Service> {
  readonly service: Work;
  readonly metrics: Metrics | undefined;
  readonly inFlight: InFlight;
  readonly makeApp: () => HttpApp;
  readonly views?: Views;
  readonly serveOptions: Omit<ServeOptions, "inFlight">;
  /** The port that the role has for itself, if others share its port. */
  readonly ownPort: number | undefined;
  /** Called with the port that the role's server listens on. */
  readonly onListening?: (port: number) => void;
}

/**
 * A role of the program with all its parts. It needs no network: `app.handle` answers requests as the server does.
 *
 * ```
 *  made ──listen()──▶ listening, the log untouched ──start()──▶ running ──the server's stop()──▶ drained
 *    └───────── start(), where no network is needed ─────────────▶┘  └─────────── stop() ──────────┴──▶ stopped
 * ```
 *
 * A member's role listens on a port of its own, and after `share()` on the shared port as well.
 */
export class Role<Work extends Service = Service> {
  readonly service: Work;
  readonly metrics: Metrics | undefined;
  readonly inFlight: InFlight;
  /** The figures for the status line; undefined for a role that knows no orders. */
  readonly orderFigures: (() => OrderFigures) | undefined;
  #app: HttpApp | undefined;
  readonly #servers: HttpServer[] = [];

  constructor(private readonly parts: RoleParts<Work>) {
    this.service = parts.service;
    this.metrics = parts.metrics;
    this.inFlight = parts.inFlight;
    this.orderFigures = parts.views?.orderFigures;
  }

  /**
   * The app is made when it is first asked for, since a simulation makes many roles and sends none of them requests.
   */
  get app(): HttpApp {
    return (this.#app ??= this.parts.makeApp());
  }

  get isReady(): boolean {
    return readiness(this.service.partitions).status === "ready";
  }

  /** Throws CONFIG_INVALID where the role's port cannot be listened on. Stopping the server stops the shared one, too. */
  listen(): HttpServer {
    const { ownPort, views } = this.parts;
    const server = this.#serve(ownPort === undefined ? {} : { port: ownPort, portSetting: "MEMBER_PORT_MIN" });
    this.parts.onListening?.(server.port);
    const stop = async () => {
      views?.close();
      const cut = await Promise.all(this.#servers.map((one) => one.stop()));
      return cut.reduce((sum, requests) => sum + requests, 0);
    };
    return { ...server, stop };
  }

  /** Listens on the port that members share. Throws CONFIG_INVALID where that cannot be listened on. */
  share(): void {
    this.#serve({ isShared: true });
  }

  #serve(options: Partial<ServeOptions>): HttpServer {
    const { serveOptions, inFlight } = this.parts;
    const server = serve(this.app, { ...serveOptions, ...options, inFlight });
    this.#servers.push(server);
    return server;
  }

  start(): void {
    this.service.start();
    this.parts.views?.start();
  }

  /** Before its server is stopped: has others take over what they can answer at once, and resolves soon in any case. */
  async handOver(): Promise<void> {
    await this.service.handOver?.();
  }

  /** Stops the role. Its server must be stopped before, so that the requests in flight are answered. */
  async stop(): Promise<void> {
    this.parts.views?.close();
    this.inFlight.stop();
    await this.service.stop();
  }
}
