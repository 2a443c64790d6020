import type { Server } from "bun";
import type { Clock } from "../system/clock.ts";
import { AppError } from "../errors.ts";
import type { InFlight } from "./in-flight.ts";
import type { HttpApp } from "./app.ts";

export interface ServeOptions {
  readonly host: string;
  /** The port to listen on; 0 takes a free one. */
  readonly port: number;
  /** The setting that the port comes from, for the message when the port is taken. */
  readonly portSetting: "CART_PORT" | "ORDER_PORT" | "MEMBER_PORT_MIN";
  /** Whether other members listen on the same port. */
  readonly isShared?: boolean;
  readonly shutdown_wait_ms_max: number;
  readonly inFlight: InFlight;
  readonly clock: Clock;
}

export interface HttpServer {
  /** The server's URL, without a slash at its end. */
  readonly url: string;
  readonly port: number;
  /**
   * Refuses new connections, closes idle ones, lets the requests in flight finish for `shutdown_wait_ms_max` and then
   * cuts them off. Resolves with how many were cut off. Called again, it returns the same promise.
   */
  stop(): Promise<number>;
}

/** A turn of the event loop accepts what is queued, and the next one reads what was accepted. */
const TURNS_BEFORE_CLOSE = 2;
/** How long a connection may be silent: longer than any request waits, and short enough to drop a dead client soon. */
const CONNECTION_IDLE_S_MAX = 30;

/**
 * Starts the app. If it cannot listen on the host and port, it throws CONFIG_INVALID, which names the setting to
 * change.
 */
export const serve = (app: HttpApp, options: ServeOptions): HttpServer => {
  const server = listen(app, options);
  let stopped: Promise<number> | undefined;
  return {
    url: urlOf(options.host, server.port ?? options.port),
    port: server.port ?? options.port,
    stop: () => (stopped ??= stop(server, options)),
  };
};

/** The URL of a server, without a slash at its end. */
export const urlOf = (host: string, port: number): string => `http://${host.includes(":") ? `[${host}]` : host}:${port}`;

const listen = (app: HttpApp, { host, port, portSetting, isShared = false, clock }: ServeOptions): Server<unknown> => {
  try {
    return Bun.serve({
      hostname: host,
      port,
      reusePort: isShared,
      // Otherwise Bun shows an error's stack to clients unless NODE_ENV is production.
      development: false,
      idleTimeout: CONNECTION_IDLE_S_MAX,
      // Bun answers a larger body with an empty 413 before any handler runs; `readJson` bounds the body instead.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request, server) => {
        const answer = app.handle(request, { address: () => server.requestIP(request)?.address, isShared });
        return request.method === "HEAD" ? answer.then((of) => dated(of, clock)) : answer;
      },
    });
  } catch (e) {
    throw listenError(e, host, port, portSetting);
  }
};

/** Adds the Date header (RFC 9110, 6.6.1), which Bun 1.4.5 gives every answer but those to HEAD. */
const dated = (answer: Response, clock: Clock): Response => {
  answer.headers.set("date", new Date(clock.wall_ms()).toUTCString());
  return answer;
};

/**
 * Listens on each port alone for a moment, and returns the ports, a free one for each 0. Throws CONFIG_INVALID if one
 * is taken, also if it is by servers that share it, which would share it with ours as well.
 */
export const freePorts = (host: string, ports: readonly Pick<ServeOptions, "port" | "portSetting">[]): number[] => {
  const claims: Server<unknown>[] = [];
  try {
    for (const { port, portSetting } of ports) {
      try {
        claims.push(Bun.serve({ hostname: host, port, reusePort: false, fetch: () => new Response(null, { status: 503 }) }));
      } catch (e) {
        throw listenError(e, host, port, portSetting);
      }
    }
    return claims.map(({ port }) => port!);
  } finally {
    for (const claim of claims) void claim.stop(true);
  }
};

const listenError = (e: unknown, host: string, port: number, portSetting: string): unknown => {
  const why = {
    EADDRINUSE: `Another program listens on ${host}:${port}. Stop it, or set ${portSetting} to another port.`,
    EACCES: `This user may not listen on port ${port}. Set ${portSetting} to a port above 1023.`,
    EINVAL: `${host} is no address that can be listened on. Set HOST to one of this machine's.`,
    EADDRNOTAVAIL: `${host} is no address of this machine. Set HOST to one, 127.0.0.1 for this machine only or 0.0.0.0 for all.`,
  }[String((e as NodeJS.ErrnoException).code)];
  return why === undefined ? e : new AppError("CONFIG_INVALID", why, { portSetting, host, port }, e);
};

const stop = async (server: Server<unknown>, { inFlight, clock, shutdown_wait_ms_max }: ServeOptions): Promise<number> => {
  inFlight.stop();
  // The system resets the connections that are queued when a listener closes. Those that are there now are accepted
  // before, and told that the service is stopping.
  for (let turns = 0; turns < TURNS_BEFORE_CLOSE; turns++) await clock.yield();
  const waited = new AbortController();
  const finished = server.stop().then(() => true);
  const inTime = await Promise.race([finished, clock.sleep(shutdown_wait_ms_max, waited.signal).then(() => false)]);
  waited.abort();
  if (inTime) return 0;
  const cut = server.pendingRequests;
  await server.stop(true);
  return cut;
};
