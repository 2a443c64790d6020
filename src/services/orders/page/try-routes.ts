import type { HttpApp, Route } from "../../../http/app.ts";

/** A cart's whole HTTP side, called in this process. */
export type CartHandle = HttpApp["handle"];

/**
 * The cart's two commands below /try, for the page's form, where a cart runs in the same process: the browser then speaks to one origin, and
 * neither service has to open CORS. A page of another origin cannot use them: JSON's content type has its browser ask first, and nothing
 * answers that it may.
 */
export const tryRoutes = (cart: CartHandle | undefined): Route[] => {
  if (!cart) return [];
  const passOn = (path: string): Pick<Route, "handle" | "isPassedOn"> => ({
    handle: ({ raw, client }) => cart(raw, { path, address: () => client }),
    isPassedOn: true,
  });
  return [
    { method: "POST", path: "/try/create-order", ...passOn("/create-order") },
    { method: "PUT", path: "/try/update-order", ...passOn("/update-order") },
  ];
};
