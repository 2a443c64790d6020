import type { Route } from "./app.ts";

/** A path and what may be done there. */
export interface Endpoint {
  /** The routes' pattern. */
  readonly path: string;
  /** By method. */
  readonly routes: ReadonlyMap<string, Route>;
  /** The Allow header. */
  readonly allow: string;
}

/** Finds the endpoint of a path. A path without parameters goes before one with them. */
export class Endpoints {
  readonly #exact = new Map<string, Endpoint>();
  readonly #patterns: { readonly segments: readonly string[]; readonly endpoint: Endpoint }[] = [];
  readonly paths: readonly string[];

  constructor(all: readonly Route[]) {
    const byPath = Map.groupBy(all, ({ path }) => path);
    this.paths = [...byPath.keys()];
    for (const [path, of] of byPath) {
      const routes = new Map(of.map((route) => [route.method as string, route]));
      const allow = [...routes.keys(), ...(routes.has("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
      const endpoint = { path, routes, allow };
      if (path.includes(":")) this.#patterns.push({ segments: path.slice(1).split("/"), endpoint });
      else this.#exact.set(path.slice(1), endpoint);
    }
  }

  find(segments: readonly string[]): Endpoint | undefined {
    const exact = this.#exact.get(segments.join("/"));
    // A segment that holds an encoded slash is no two segments.
    if (exact && exact.path.split("/").length === segments.length + 1) return exact;
    return this.#patterns.find((pattern) => matches(pattern.segments, segments))?.endpoint;
  }
}

const matches = (pattern: readonly string[], segments: readonly string[]): boolean =>
  pattern.length === segments.length &&
  pattern.every((part, index) => part === segments[index] || (part.startsWith(":") && segments[index] !== ""));
