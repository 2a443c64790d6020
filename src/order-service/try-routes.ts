import type { Route } from "../http/service.ts";

/** A cart's whole HTTP side, called in this process. */
export type CartHandle = (request: Request) => Promise<Response>;

/**
 * The cart's two commands below /try, for the page's form, where a cart runs in the same process: the browser then speaks to one origin, and
 * neither service has to open CORS. A page of another origin cannot use them: JSON's content type has its browser ask first, and nothing
 * answers that it may.
 */
export const tryRoutes = (cart: CartHandle | undefined): Route[] => {
  if (!cart) return [];
  const passOn = (path: string) => (request: Request) => cart(new Request(`http://cart${path}`, request));
  return [
    { method: "POST", path: "/try/create-order", handle: passOn("/create-order") },
    { method: "PUT", path: "/try/update-order", handle: passOn("/update-order") },
  ];
};
