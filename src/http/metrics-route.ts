import type { Clock } from "../system/clock.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Route } from "./app.ts";

/** For so long an answer is given again: it takes some milliseconds of the one thread, and whoever likes may ask. */
const KEPT_MS = 250;

/** `/metrics` in Prometheus' text format, also under overload. */
export const metricsRoutes = (metrics: Metrics | undefined, clock: Clock): Route[] => {
  if (metrics === undefined) return [];
  const headers = { "content-type": metrics.contentType, "cache-control": "no-store" };
  let text: Promise<string> | undefined;
  let asked_ms = Number.NEGATIVE_INFINITY;
  const handle = async (): Promise<Response> => {
    const now_ms = clock.now_ms();
    if (text === undefined || now_ms - asked_ms >= KEPT_MS) {
      asked_ms = now_ms;
      text = metrics.text();
    }
    return new Response(await text, { headers });
  };
  return [{ method: "GET", path: "/metrics", always: true, handle }];
};
