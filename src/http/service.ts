import type { Clock } from "../system/clock.ts";
import { AppError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { RequestMeter } from "../telemetry/meters.ts";
import type { RequestTracer } from "../telemetry/tracer.ts";
import { readJson } from "./body.ts";
import { Endpoints } from "./endpoints.ts";
import { parseTraceparent, parseTracestate } from "./headers.ts";
import type { ServedHosts } from "./hosts.ts";
import { HttpRequest, type Origin } from "./http-request.ts";
import type { InFlight } from "./in-flight.ts";
import { problemResponse } from "./problem.ts";
import { UnreadBodies } from "./unread-bodies.ts";

export interface Route {
  readonly method: "GET" | "POST" | "PUT";
  /** A segment may be a parameter, `:name`; `HttpRequest.segment` gives what stands there. */
  readonly path: string;
  /** Throws or rejects with an AppError; anything else is a defect and answered as INTERNAL. */
  readonly handle: (request: HttpRequest) => Response | Promise<Response>;
  /** The route takes a JSON body of at most so many bytes: it is in `request.body`, and the request is counted as in flight only then. */
  readonly body_bytes_max?: number;
  /** Answered also when the service is overloaded or stopping, and not counted. */
  readonly always?: boolean;
  /** Passed on to another service, which counts it and reads its body. */
  readonly isPassedOn?: boolean;
}

export interface ServiceAppOptions {
  /** Told of each request. Without one a request costs nothing more. */
  readonly meter?: RequestMeter | undefined;
  /** Not told of those routes that are answered always. */
  readonly tracer?: RequestTracer | undefined;
  /** Without it every Host header is served. */
  readonly hosts?: ServedHosts | undefined;
  readonly clock: Clock;
}

/** A service's HTTP side without the network. */
export interface HttpApp {
  /** Never rejects. */
  handle(request: Request, origin?: Origin): Promise<Response>;
}

type Handle = (request: HttpRequest) => Promise<Response>;

/** Under what requests are counted that no route takes: what clients make up must not make up series. */
const NO_ROUTE = { method: "other", path: "other", always: true };

/**
 * An app of these routes. Host and path are looked at first, and what is no proper request ends there. Then a request's body is read, if
 * its route takes one; then it is counted among those in flight.
 */
export const serviceApp = (
  routes: readonly Route[],
  inFlight: InFlight,
  logger: Logger,
  { meter, tracer, hosts, clock }: ServiceAppOptions,
): HttpApp => {
  const bodies = new UnreadBodies(inFlight.requests_max, clock);
  void inFlight.stopped.then(() => bodies.close());
  const guard = { inFlight, bodies, logger, clock };
  const guards = new Map(routes.map((route) => [route, guarded(route, guard)]));
  const observe = (route: Observed, handle: Handle) => traced(tracer, route, measured(meter, route, handle));
  const handles = new Map([...guards].map(([route, handle]) => [route, observe(route, handle)]));
  const endpoints = new Endpoints(routes);
  const otherwise = observe(NO_ROUTE, unrouted(endpoints, guards, logger));
  const countRefused = meter?.route(NO_ROUTE.method, NO_ROUTE.path);
  return {
    handle: async (raw, origin) => {
      let request: HttpRequest;
      try {
        hosts?.require(raw.headers.get("host"));
        request = HttpRequest.of(raw, origin);
      } catch (e) {
        const refused = problemResponse(e, logger);
        countRefused?.(refused.status, 0);
        return refused;
      }
      const route = endpoints.find(request.segments)?.routes.get(request.method);
      return ((route && handles.get(route)) ?? otherwise)(request);
    },
  };
};

type Observed = Pick<Route, "path" | "always"> & { readonly method: string };

const measured = (meter: RequestMeter | undefined, { method, path }: Observed, handle: Handle): Handle => {
  if (!meter) return handle;
  const answered = meter.route(method, path);
  return async (request) => {
    const began_s = meter.now_s();
    const response = await handle(request);
    answered(response.status, meter.now_s() - began_s);
    return response;
  };
};

const traced = (tracer: RequestTracer | undefined, { method, path, always }: Observed, handle: Handle): Handle => {
  if (!tracer || always) return handle;
  return async (request) => {
    const { headers, segments } = request;
    const url = `http://localhost/${segments.map(encodeURIComponent).join("/")}`;
    const traceparent = parseTraceparent(headers.get("traceparent"));
    const tracestate = traceparent === undefined ? undefined : parseTracestate(headers.get("tracestate"));
    const span = tracer.request(method, path, url, traceparent, tracestate);
    request.span = span;
    const response = await handle(request);
    span.answered(response.status);
    return response;
  };
};

interface Guard {
  readonly inFlight: InFlight;
  readonly bodies: UnreadBodies;
  readonly logger: Logger;
  readonly clock: Clock;
}

const guarded = (route: Route, { inFlight, bodies, logger, clock }: Guard): Handle => {
  const { handle, body_bytes_max } = route;
  const isCounted = !route.always && !route.isPassedOn;
  return async (request) => {
    let isInside = false;
    try {
      if (isCounted) inFlight.requireRoom();
      if (body_bytes_max !== undefined) request.body = await readJson(request, body_bytes_max, bodies, clock);
      if (isCounted) {
        inFlight.enter();
        isInside = true;
      }
      return await handle(request);
    } catch (e) {
      return problemResponse(e, logger);
    } finally {
      if (isInside) inFlight.leave();
    }
  };
};

/** HEAD of what GET answers, OPTIONS, and the problems 404 and 405. */
const unrouted =
  (endpoints: Endpoints, guards: ReadonlyMap<Route, Handle>, logger: Logger): Handle =>
  async (request) => {
    const found = endpoints.find(request.segments);
    if (!found)
      return problemResponse(
        new AppError("NOT_FOUND", `There is nothing at this path. What there is: ${endpoints.paths.join(", ")}.`),
        logger,
      );
    const { path, allow, routes } = found;
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
    const get = routes.get("GET");
    const handle = get && guards.get(get);
    if (request.method !== "HEAD" || !handle)
      return problemResponse(new AppError("METHOD_NOT_ALLOWED", `${path} takes ${allow}.`, { allow }), logger);
    // The server leaves the body out and keeps what tells of it: a length where GET has one. It cancels a stream.
    return handle(request);
  };
