import type { Topics } from "../../api/asyncapi.ts";
import { withDocuments } from "../../api/document-endpoints.ts";
import { ServedHosts } from "../../http/hosts.ts";
import type { InFlight } from "../../http/in-flight.ts";
import { type HttpApp, httpApp } from "../../http/app.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { RequestTracer } from "../../telemetry/tracer.ts";
import { cartEndpoints, type CartEndpointsOptions } from "./endpoints.ts";

export interface CartAppOptions extends CartEndpointsOptions, Topics {
  readonly inFlight: InFlight;
  /** The address on which the service listens; a request may name it, or one of `allowed_hosts`. */
  readonly host: string;
  readonly allowed_hosts: readonly string[];
  /** The host by which other carts reach this one. */
  readonly advertised_host?: string | undefined;
  readonly logger: Logger;
  readonly tracer?: RequestTracer | undefined;
}

export const CART_SERVICE = { title: "Cart service", description: "Takes orders and appends their events to the log." };

/** The cart service's HTTP side: its commands, health, and the documents that describe them. */
export const cartApp = (options: CartAppOptions): HttpApp => {
  const { inFlight, logger, metrics, tracer, host, allowed_hosts, advertised_host, clock } = options;
  return httpApp(withDocuments(CART_SERVICE, cartEndpoints(options), options), inFlight, logger, {
    meter: metrics,
    tracer,
    hosts: new ServedHosts(host, allowed_hosts, advertised_host),
    clock,
  });
};
