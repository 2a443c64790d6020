import { Elysia } from "elysia";
import { AppError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { RequestMeter } from "../telemetry/meters.ts";
import type { RequestSpan, RequestTracer } from "../telemetry/tracer.ts";
import { parseTraceparent } from "./headers.ts";
import type { InFlight } from "./in-flight.ts";
import { problemResponse } from "./problem.ts";

export interface Route {
  readonly method: "GET" | "POST" | "PUT";
  /** A segment may be a parameter, `:name`; `pathSegment` gives what stands there. */
  readonly path: string;
  /** Throws or rejects with an AppError; anything else is a defect and answered as INTERNAL. */
  readonly handle: (request: Request, span?: RequestSpan) => Response | Promise<Response>;
  /** Answered also when the service is overloaded or stopping, and not counted. */
  readonly always?: boolean;
}

/** Told of each request. Without them a request costs nothing more. */
export interface Observers {
  readonly meter?: RequestMeter | undefined;
  /** Not told of those routes that are answered always. */
  readonly tracer?: RequestTracer | undefined;
}

/**
 * An Elysia app of these routes. Elysia routes; everything else is done here, on the Request, because its body parsing,
 * validation and error mapping answer otherwise than the contract says. The handlers return a Response, which Elysia
 * passes on untouched, and name nothing of its context but the request, so that it prepares nothing else.
 */
export const serviceApp = (routes: readonly Route[], inFlight: InFlight, logger: Logger, observers: Observers = {}): Elysia => {
  const app = new Elysia();
  for (const route of routes) {
    const handle = observed(route, guarded(route, inFlight, logger), observers);
    app.route(route.method, route.path, (c: { request: Request }) => handle(c.request), { parse: "none" });
  }
  const fallback = observed(NO_ROUTE, otherwise(routes, inFlight, logger), observers);
  app.all("/*", (c: { request: Request }) => fallback(c.request), { parse: "none" });
  return app;
};

/** The segment of the request's path, from 0 on. */
export const pathSegment = (request: Request, index: number): string => new URL(request.url).pathname.split("/")[index + 1] ?? "";

type Handle = (request: Request, span?: RequestSpan) => Promise<Response>;

/** Under what requests are counted that no route takes: what clients make up must not make up series. */
const NO_ROUTE = { method: "other", path: "other", always: true };

type Observed = Pick<Route, "path" | "always"> & { readonly method: string };

const observed = (route: Observed, handle: Handle, { meter, tracer }: Observers): Handle => {
  const measured = meter ? measuredBy(meter, route, handle) : handle;
  return tracer && !route.always ? tracedBy(tracer, route, measured) : measured;
};

const measuredBy = (meter: RequestMeter, { method, path }: Observed, handle: Handle): Handle => {
  const answered = meter.route(method, path);
  return async (request, span) => {
    const began_s = meter.now_s();
    const response = await handle(request, span);
    answered(response.status, meter.now_s() - began_s);
    return response;
  };
};

const tracedBy =
  (tracer: RequestTracer, { method, path }: Observed, handle: Handle): Handle =>
  async (request) => {
    const span = tracer.request(method, path, request.url, parseTraceparent(request.headers.get("traceparent")));
    const response = await handle(request, span);
    span.answered(response.status);
    return response;
  };

const guarded = (route: Route, inFlight: InFlight, logger: Logger) => {
  const { handle } = route;
  if (route.always) {
    return async (request: Request): Promise<Response> => {
      try {
        return await handle(request);
      } catch (e) {
        return problemResponse(e, logger);
      }
    };
  }
  return async (request: Request, span?: RequestSpan): Promise<Response> => {
    try {
      inFlight.enter();
    } catch (e) {
      return problemResponse(e, logger);
    }
    try {
      return await handle(request, span);
    } catch (e) {
      return problemResponse(e, logger);
    } finally {
      inFlight.leave();
    }
  };
};

/** HEAD of what GET answers, OPTIONS, and the problems 404 and 405. */
const otherwise = (routes: readonly Route[], inFlight: InFlight, logger: Logger) => {
  const gets = new Map(
    routes.filter((route) => route.method === "GET").map((route) => [route.path, guarded(route, inFlight, logger)]),
  );
  const allowed = new Map<string, string>();
  for (const { path } of routes) {
    const methods = routes.filter((route) => route.path === path).map((route) => route.method);
    allowed.set(path, [...methods, ...(gets.has(path) ? ["HEAD"] : []), "OPTIONS"].join(", "));
  }
  const patterns = [...allowed.keys()].map((path) => [path, new RegExp(`^${path.replaceAll(/:\w+/g, "[^/]+")}$`)] as const);
  return async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    const path = patterns.find(([, pattern]) => pattern.test(pathname))?.[0];
    const allow = path === undefined ? undefined : allowed.get(path);
    if (path === undefined || allow === undefined) {
      const paths = [...allowed.keys()].join(", ");
      return problemResponse(new AppError("NOT_FOUND", `There is nothing at this path. What there is: ${paths}.`), logger);
    }
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
    const get = gets.get(path);
    if (request.method === "HEAD" && get !== undefined) {
      const response = await get(request);
      await response.body?.cancel();
      return new Response(null, { status: response.status, headers: response.headers });
    }
    return problemResponse(new AppError("METHOD_NOT_ALLOWED", `${path} takes ${allow}.`, { allow }), logger);
  };
};
