import type { Endpoint } from "./endpoint/endpoint.ts";

/** A path and its endpoints. */
interface Resource {
  /** The pattern that the endpoints share. */
  readonly path: string;
  /** The endpoints by method. */
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  /** The value of the Allow header. */
  readonly allow: string;
}

/** Finds the endpoints at a path. A path without parameters goes before one with parameters. */
export class Router {
  readonly #exact = new Map<string, Resource>();
  readonly #patterns: { readonly segments: readonly string[]; readonly resource: Resource }[] = [];
  /** The patterns of all that clients may ask for, in the order of the endpoints. */
  readonly paths: readonly string[];

  constructor(all: readonly Endpoint[]) {
    const byPath = Map.groupBy(all, ({ path }) => path);
    this.paths = [...byPath].flatMap(([path, of]) => (of.every(({ isHop }) => isHop) ? [] : [path]));
    for (const [path, of] of byPath) {
      const endpoints = new Map(of.map((one) => [one.method as string, one]));
      const allow = [...endpoints.keys(), ...(endpoints.has("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
      const resource = { path, endpoints, allow };
      if (path.includes(":")) this.#patterns.push({ segments: path.slice(1).split("/"), resource });
      else this.#exact.set(path.slice(1), resource);
    }
  }

  find(segments: readonly string[]): Resource | undefined {
    const exact = this.#exact.get(segments.join("/"));
    // A segment that holds an encoded slash is still one segment.
    if (exact && exact.path.split("/").length === segments.length + 1) return exact;
    return this.#patterns.find((pattern) => matches(pattern.segments, segments))?.resource;
  }
}

const matches = (pattern: readonly string[], segments: readonly string[]): boolean =>
  pattern.length === segments.length &&
  pattern.every((part, index) => part === segments[index] || (part.startsWith(":") && segments[index] !== ""));
