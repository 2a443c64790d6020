import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import type { HttpApp } from "../../../http/app.ts";

/** A cart's whole HTTP side, called in this process. */
export type CartHandle = HttpApp["handle"];

/**
 * The cart's two commands below /try, for the page's form, where a cart runs in the same process: the browser then speaks to one origin, and
 * neither service has to open CORS. A page of another origin cannot use them: JSON's content type has its browser ask first, and nothing
 * answers that it may.
 */
export const tryEndpoints = (cart: CartHandle | undefined): Endpoint[] =>
  cart ? [passedOn("POST", "/create-order", cart), passedOn("PUT", "/update-order", cart)] : [];

const passedOn = (method: Endpoint["method"], path: string, cart: CartHandle): Endpoint =>
  endpoint({
    method,
    path: `/try${path}`,
    undocumented: "It is the cart service's, whose document describes it; only the page's form asks for it here.",
    isPassedOn: true,
    handle: ({ raw, client }) => cart(raw, { path, address: () => client }),
  });
