import { Type } from "@sinclair/typebox";
import type { Fleet } from "./fleet.ts";
import { type Endpoint, endpoint, type RequestBody } from "../http/endpoint/endpoint.ts";
import { type Parameter, queryParameter, type ValuesOf } from "../http/endpoint/parameter.ts";
import type { HttpRequest } from "../http/http-request.ts";

interface Hop<Parameters extends readonly Parameter[], Body> {
  readonly method: Endpoint["method"];
  readonly path: string;
  readonly parameters: Parameters;
  readonly body?: RequestBody<Body>;
  /** The asker stops waiting at `deadline_ms`. What is answered is what is held here: a hop is never passed on. */
  readonly handle: (
    request: HttpRequest,
    parameters: ValuesOf<Parameters>,
    deadline_ms: number,
    body: Body,
  ) => Response | Promise<Response>;
}

/** An endpoint that only members of the fleet may ask. */
export const hopEndpoint = <const Parameters extends readonly Parameter[], Body = undefined>(
  fleet: Fleet,
  { handle, ...hop }: Hop<Parameters, Body>,
): Endpoint =>
  endpoint<Parameters, Body>({
    ...hop,
    undocumented: "Members of a fleet ask each other, with their fleet's token (decision 31).",
    isHop: true,
    handle: (request, values, body) => handle(request, values, fleet.admit(request), body),
  });

/** Room for all partitions that a topic may have. */
const PARTITIONS_CHARS_MAX = 8_000;

/** Which partitions are asked about. */
export const partitionsParameter = queryParameter("partitions", {
  description: "Numbers of partitions.",
  schema: Type.String({
    pattern: "^[0-9]{1,9}(,[0-9]{1,9})*$",
    maxLength: PARTITIONS_CHARS_MAX,
    must: "be numbers of partitions, separated by commas",
  }),
  example: "0,3,6",
  decode: (list) => list.split(",").map(Number),
});
