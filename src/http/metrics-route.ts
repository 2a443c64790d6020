import type { Metrics } from "../telemetry/metrics.ts";
import type { Route } from "./service.ts";

/** `/metrics` in Prometheus' text format, also under overload. */
export const metricsRoutes = (metrics: Metrics | undefined): Route[] =>
  metrics === undefined
    ? []
    : [
        {
          method: "GET",
          path: "/metrics",
          always: true,
          handle: async () =>
            new Response(await metrics.text(), {
              headers: { "content-type": metrics.contentType, "cache-control": "no-store" },
            }),
        },
      ];
