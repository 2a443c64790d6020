import type { Topics } from "../../api/asyncapi.ts";
import { withDocuments } from "../../api/document-endpoints.ts";
import { ServedHosts } from "../../http/hosts.ts";
import { type HttpApp, httpApp } from "../../http/app.ts";
import type { InFlight } from "../../http/in-flight.ts";
import type { RequestTracer } from "../../telemetry/tracer.ts";
import { orderEndpoints, type OrderEndpointsOptions } from "./endpoints.ts";

export interface OrderServiceAppOptions extends OrderEndpointsOptions, Topics {
  /** The address on which the service listens; a request may name it, or one of `allowed_hosts`. */
  readonly host: string;
  readonly allowed_hosts: readonly string[];
  /** The host by which other order services ask this one; undefined if none does. */
  readonly advertised_host?: string | undefined;
  readonly inFlight: InFlight;
  readonly tracer?: RequestTracer | undefined;
}

export const ORDER_SERVICE = {
  title: "Order service",
  description: "Answers queries about the orders in the partitions it holds.",
};

/**
 * The order service's HTTP side: the contract's two queries, what operators and other people look at, health, and the
 * documents that describe them.
 */
export const orderServiceApp = (options: OrderServiceAppOptions): HttpApp => {
  const { inFlight, logger, metrics, tracer, host, allowed_hosts, advertised_host, clock } = options;
  return httpApp(withDocuments(ORDER_SERVICE, orderEndpoints(options), options), inFlight, logger, {
    meter: metrics,
    tracer,
    hosts: new ServedHosts(host, allowed_hosts, advertised_host),
    clock,
  });
};
