import type { Clock } from "../system/clock.ts";
import { AppError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { RequestMeter } from "../telemetry/meters.ts";
import type { RequestTracer } from "../telemetry/tracer.ts";
import { readJson } from "./body.ts";
import type { Endpoint } from "./endpoint/endpoint.ts";
import { parseTraceparent, parseTracestate } from "./headers.ts";
import type { ServedHosts } from "./hosts.ts";
import { HttpRequest, type Origin } from "./http-request.ts";
import type { InFlight } from "./in-flight.ts";
import { problemResponse } from "./problem.ts";
import { Router } from "./router.ts";
import { UnreadBodies } from "./unread-bodies.ts";

export interface HttpAppOptions {
  /** Measures each request. Without it, a request costs nothing more. */
  readonly meter?: RequestMeter | undefined;
  /** Traces each request, except those to endpoints that are answered `always`. */
  readonly tracer?: RequestTracer | undefined;
  /** Which hosts are served. Without it, every Host header is served. */
  readonly hosts?: ServedHosts | undefined;
  readonly clock: Clock;
}

/** A service's HTTP side without the network. */
export interface HttpApp {
  /** Never rejects. */
  handle(request: Request, origin?: Origin): Promise<Response>;
}

type Handle = (request: HttpRequest) => Promise<Response>;

/** The name under which requests to no endpoint are counted, so that paths which clients make up create no metrics. */
const NO_ENDPOINT = { method: "other", path: "other", always: true };

/**
 * An app of these endpoints. Host and path are checked first, and a request that is malformed ends there. Then the
 * body is read, if the endpoint takes one, and only then does the request count among those in flight.
 */
export const httpApp = (
  endpoints: readonly Endpoint[],
  inFlight: InFlight,
  logger: Logger,
  { meter, tracer, hosts, clock }: HttpAppOptions,
): HttpApp => {
  const bodies = new UnreadBodies(inFlight.requests_max, clock);
  void inFlight.stopped.then(() => bodies.close());
  const guard = { inFlight, bodies, logger, clock };
  const guards = new Map(endpoints.map((one) => [one, guarded(one, guard)]));
  const observe = (one: Observed, handle: Handle) => traced(tracer, one, measured(meter, one, handle));
  const handles = new Map([...guards].map(([one, handle]) => [one, observe(one, handle)]));
  const router = new Router(endpoints);
  const otherwise = observe(NO_ENDPOINT, unrouted(router, guards, logger));
  const countRefused = meter?.route(NO_ENDPOINT.method, NO_ENDPOINT.path);
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
      const found = router.find(request.segments)?.endpoints.get(request.method);
      return ((found && handles.get(found)) ?? otherwise)(request);
    },
  };
};

type Observed = Pick<Endpoint, "path" | "always" | "isHop"> & { readonly method: string };

const measured = (meter: RequestMeter | undefined, { method, path, isHop }: Observed, handle: Handle): Handle => {
  if (!meter || isHop) return handle;
  const answered = meter.route(method, path);
  return async (request) => {
    const began_s = meter.now_s();
    const response = await handle(request);
    answered(response.status, meter.now_s() - began_s);
    return response;
  };
};

const traced = (tracer: RequestTracer | undefined, { method, path, always, isHop }: Observed, handle: Handle): Handle => {
  if (!tracer || always) return handle;
  return async (request) => {
    const { headers, segments } = request;
    const url = `http://localhost/${segments.map(encodeURIComponent).join("/")}`;
    const traceparent = parseTraceparent(headers.get("traceparent"));
    // A trace begins with a client's request: what members ask each other by themselves is in none.
    if (isHop && traceparent === undefined) return handle(request);
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

const guarded = ({ handle, body, always, isPassedOn }: Endpoint, { inFlight, bodies, logger, clock }: Guard): Handle => {
  const isCounted = !always && !isPassedOn;
  return async (request) => {
    let isInside = false;
    try {
      if (isCounted) inFlight.requireRoom();
      if (body) request.body = await readJson(request, body.body_bytes_max, bodies, clock);
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

/** Answers HEAD where there is a GET, answers OPTIONS, and answers anything else with 404 or 405. */
const unrouted =
  (router: Router, guards: ReadonlyMap<Endpoint, Handle>, logger: Logger): Handle =>
  async (request) => {
    const found = router.find(request.segments);
    if (!found)
      return problemResponse(
        new AppError("NOT_FOUND", `There is nothing at this path. What there is: ${router.paths.join(", ")}.`),
        logger,
      );
    const { path, allow, endpoints } = found;
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
    const get = endpoints.get("GET");
    const handle = get && guards.get(get);
    if (request.method !== "HEAD" || !handle)
      return problemResponse(new AppError("METHOD_NOT_ALLOWED", `${path} takes ${allow}.`, { allow }), logger);
    // The server leaves out the body and keeps the headers about it, such as a length if GET has one. It cancels a
    // stream.
    return handle(request);
  };
