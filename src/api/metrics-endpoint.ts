import { Type } from "@sinclair/typebox";
import { type Endpoint, endpoint } from "../http/endpoint/endpoint.ts";
import type { MemberSet } from "./member-set.ts";
import type { Clock } from "../system/clock.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** How long an answer is given again. Making one takes some milliseconds of the only thread, and anybody may ask. */
const KEPT_MS = 250;

/**
 * `/metrics` in Prometheus' text format. Answered even under overload. On a port that members share it has the numbers
 * of all: those of whichever member happens to be asked would jump.
 */
export const metricsEndpoint = (metrics: Metrics, clock: Clock, members?: MemberSet): Endpoint => {
  const headers = { "content-type": metrics.contentType, "cache-control": "no-store" };
  let text: Promise<string> | undefined;
  let asked_ms = Number.NEGATIVE_INFINITY;
  return endpoint({
    method: "GET",
    path: "/metrics",
    documentation: {
      id: "metrics",
      tag: "Health",
      summary: "Numbers for Prometheus",
      description: "deploy/grafana-dashboard.json shows them and deploy/alerts.yaml watches them.",
      answers: {
        200: {
          description: "Prometheus' text format.",
          contentType: "text/plain",
          schema: Type.String(),
          example: 'orders_partition_lag_records{partition="3",component="order-service"} 0\n',
          headers: ["Cache-Control"],
        },
      },
    },
    always: true,
    handle: async ({ isShared }) => {
      if (isShared && members) return new Response(await members.metrics(), { headers });
      const now_ms = clock.now_ms();
      if (text === undefined || now_ms - asked_ms >= KEPT_MS) {
        asked_ms = now_ms;
        text = metrics.text();
      }
      return new Response(await text, { headers });
    },
  });
};
