import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import type { HttpApp } from "../../../http/app.ts";

/** A cart's whole HTTP side, called within this process. */
export type CartHandle = HttpApp["handle"];

/**
 * The cart's create and update under /try, for the page's form, if a cart runs in the same process. The browser then talks
 * to a single origin, and neither service has to allow CORS. A page of another origin cannot use them: because of
 * JSON's content type its browser asks for permission first, and nothing here grants it.
 */
export const tryEndpoints = (cart: CartHandle | undefined): Endpoint[] =>
  cart ? [forwardingEndpoint("POST", "/create-order", cart), forwardingEndpoint("PUT", "/update-order", cart)] : [];

const forwardingEndpoint = (method: Endpoint["method"], path: string, cart: CartHandle): Endpoint =>
  endpoint({
    method,
    path: `/try${path}`,
    undocumented: "The cart service's document describes it; here only the page's form asks for it.",
    isPassedOn: true,
    handle: ({ raw, client }) => cart(raw, { path, address: () => client }),
  });
