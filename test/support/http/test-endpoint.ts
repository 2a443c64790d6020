import { Type } from "@sinclair/typebox";
import { type Endpoint, endpoint, type RequestBody } from "../../../src/http/endpoint/endpoint.ts";
import type { HttpRequest } from "../../../src/http/http-request.ts";

const JSON_BYTES_MAX = 65_536;

/** An endpoint that takes any request, and is in no document. */
export const testEndpoint = (
  method: Endpoint["method"],
  path: string,
  handle: (request: HttpRequest) => Response | Promise<Response>,
): Endpoint => endpoint({ method, path, undocumented: "It is a test's.", handle });

/** Answers the JSON body that it was sent. */
export const echoEndpoint = (body_bytes_max = JSON_BYTES_MAX): Endpoint => {
  const body: RequestBody<unknown> = { schema: Type.Unknown(), examples: {}, body_bytes_max, parse: (json) => json };
  return endpoint({
    method: "POST",
    path: "/echo",
    undocumented: "It is a test's.",
    body,
    handle: (_, __, json) => Response.json(json),
  });
};
