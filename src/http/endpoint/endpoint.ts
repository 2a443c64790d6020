import type { TSchema } from "@sinclair/typebox";
import type { HttpRequest } from "../http-request.ts";
import type { Documentation } from "./documentation.ts";
import type { Parameter, ValuesOf } from "./parameter.ts";

/** One method at a path: how it is documented, what it takes, and how it is answered. Made by `endpoint`. */
export interface Endpoint extends Behaviour {
  /** The endpoint's part of the service's document. Absent if it is left out on purpose. */
  readonly documentation?: Documentation;
  readonly parameters: readonly Parameter[];
  readonly body?: RequestBody<unknown>;
  /** Throws or rejects with an AppError; anything else is a defect and answered as INTERNAL. */
  readonly handle: (request: HttpRequest) => Response | Promise<Response>;
}

interface Behaviour {
  readonly method: "GET" | "POST" | "PUT";
  /** A segment may be a path parameter, `:name`. */
  readonly path: string;
  /** Throws unless the request is an operator's. Absent if everybody may ask. */
  readonly operatorOnly?: (request: HttpRequest) => void;
  /** Whether requests are answered even when the service is overloaded or stopping, and without being counted. */
  readonly always?: boolean;
  /** Whether requests are passed on to another service, which counts them and reads their bodies. */
  readonly isPassedOn?: boolean;
  /**
   * Whether another instance asks, for a client's request that it is answering. That one is measured and traced, so this
   * one is not.
   */
  readonly isHop?: boolean;
}

/** A JSON body. The request is counted as in flight only once its body has arrived. */
export interface RequestBody<Body> {
  /** The body's schema. Clients may send each name in camelCase, too. */
  readonly schema: TSchema;
  readonly examples: Readonly<Record<string, unknown>>;
  readonly body_bytes_max: number;
  /** Throws INVALID_FIELD. */
  readonly parse: (json: unknown) => Body;
}

/** An endpoint is in the service's document, or it says why not. */
type Documented = { readonly documentation: Documentation } | { readonly undocumented: string };

interface Definition<Parameters extends readonly Parameter[], Body> extends Behaviour {
  readonly parameters?: Parameters;
  readonly body?: RequestBody<Body>;
  /**
   * A parameter is parsed when it is read from `parameters`, so the first one that a handler reads is the first to be
   * refused.
   */
  readonly handle: (request: HttpRequest, parameters: ValuesOf<Parameters>, body: Body) => Response | Promise<Response>;
}

export function endpoint<const Parameters extends readonly Parameter[] = readonly [], Body = undefined>(
  definition: Definition<Parameters, Body> & Documented,
): Endpoint {
  const { parameters = [], handle, body, operatorOnly, path } = definition;
  requireSame(path, parameters);
  const valuesOf = valuesIn<Parameters>(path, parameters);
  return {
    ...definition,
    parameters,
    handle: (request) => {
      operatorOnly?.(request);
      return handle(request, valuesOf(request), body?.parse(request.body) as Body);
    },
  };
}

function requireSame(path: string, parameters: readonly Parameter[]): void {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name);
  const described = parameters.filter((one) => one.in === "path").map(({ name }) => name);
  if (!Bun.deepEquals(inPath, described))
    throw new Error(`The path ${path} has the parameters ${inPath.join(", ")}, and described are ${described.join(", ")}.`);
}

const NONE = {};

function valuesIn<Parameters extends readonly Parameter[]>(
  path: string,
  parameters: readonly Parameter[],
): (request: HttpRequest) => ValuesOf<Parameters> {
  if (parameters.length === 0) return () => NONE as ValuesOf<Parameters>;
  class Values {
    constructor(readonly request: HttpRequest) {}
  }
  for (const parameter of parameters) {
    const textOf = textIn[parameter.in](parameter.name, path);
    Object.defineProperty(Values.prototype, parameter.name, {
      get(this: Values) {
        return parameter.parse(textOf(this.request));
      },
    });
  }
  return (request) => new Values(request) as unknown as ValuesOf<Parameters>;
}

type TextOf = (request: HttpRequest) => string | undefined;

const textIn: Readonly<Record<Parameter["in"], (name: string, path: string) => TextOf>> = {
  path: (name, path) => {
    const index = path.slice(1).split("/").indexOf(`:${name}`);
    return ({ segments }) => segments[index];
  },
  query: (name) => (request) => request.query(name),
  header:
    (name) =>
    ({ headers }) =>
      headers.get(name) ?? undefined,
};
