import { Type } from "@sinclair/typebox";
import { type ErrorCode, errorCatalogue } from "../errors.ts";
import type { Answer, Documentation } from "../http/endpoint/documentation.ts";
import type { Endpoint, RequestBody } from "../http/endpoint/endpoint.ts";
import type { Parameter } from "../http/endpoint/parameter.ts";
import { type ResponseHeader, type ResponseHeaderName, responseHeaders } from "../http/endpoint/response-headers.ts";
import { camelCased, documented, type Json, type NamedSchemas } from "./json-schema.ts";
import { problemExample, problemSchema } from "./problems.ts";

/** What a service's document says about the service. */
export interface ServiceDescription {
  readonly title: string;
  readonly description: string;
}

const OTHERWISE =
  "HEAD is answered as GET, without the body; OPTIONS with 204 and Allow; any other method of HTTP's 405; any other path 404; a malformed Host or path 400; a name in Host that is not served 421. Every error is application/problem+json (RFC 9457) with a stable code, but what is no HTTP: that is refused without a body. The topics: [AsyncAPI](asyncapi.json).";

const OPERATOR = { type: "http", scheme: "bearer", description: "OPERATOR_TOKEN, as the service was started with." };

/** The OpenAPI 3.1 document, without its version, of a service's documented endpoints. */
export function openApiDocument({ title, description }: ServiceDescription, endpoints: readonly Endpoint[]): Json {
  const schemas: NamedSchemas = {};
  const paths: Record<string, Record<string, Json>> = {};
  const tags = new Set<string>();
  for (const endpoint of endpoints) {
    const { documentation, method } = endpoint;
    if (!documentation) continue;
    const path = endpoint.path.replaceAll(/:(\w+)/g, "{$1}");
    (paths[path] ??= {})[method.toLowerCase()] = operationObject(endpoint, documentation, schemas);
    tags.add(documentation.tag);
  }
  return {
    info: { title, version: "1", description: `${description} ${OTHERWISE}`, license: { name: "MIT", identifier: "MIT" } },
    // The URL is relative to that of the document, which may be below a proxy's prefix.
    servers: [{ url: "." }],
    tags: Array.from(tags, (name) => ({ name })),
    paths,
    components: {
      schemas,
      responses: { NOT_FOUND: problemResponse(["NOT_FOUND"], schemas) },
      ...(endpoints.some(({ operatorOnly }) => operatorOnly) && { securitySchemes: { operator: OPERATOR } }),
    },
  };
}

function operationObject(endpoint: Endpoint, documentation: Documentation, schemas: NamedSchemas): Json {
  const { body, operatorOnly, always = false } = endpoint;
  const { id, tag, summary, description, answers, errors = [] } = documentation;
  const parameters = endpoint.parameters.map((parameter) => parameterObject(parameter, schemas));
  const responses: Record<string, Json> = {};
  for (const [status, answer] of Object.entries(answers)) responses[status] = answerObject(answer, schemas);
  for (const [status, codes] of problemsByStatus(errors, always)) responses[status] = problemResponse(codes, schemas);
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: requestBodyObject(body, schemas) }),
    ...(operatorOnly && { security: [{ operator: [] }] }),
    responses,
  };
}

/**
 * Swagger UI fills in the example for whoever tries out the endpoint. An optional parameter should stay empty then, so
 * its example is given in the description.
 */
function parameterObject(parameter: Parameter, schemas: NamedSchemas): Json {
  const { name, in: place, isRequired, schema, description, example } = parameter;
  return {
    name,
    in: place,
    required: isRequired,
    ...(isRequired ? { description, example } : { description: `${description} For example: ${example}` }),
    schema: documented(schema, schemas),
  };
}

const EVERYWHERE: readonly ErrorCode[] = ["HOST_INVALID", "PATH_INVALID", "HOST_NOT_SERVED", "METHOD_NOT_ALLOWED", "INTERNAL"];

function problemsByStatus(errors: readonly ErrorCode[], always: boolean): Map<number, readonly ErrorCode[]> {
  const underLoad: readonly ErrorCode[] = always ? [] : ["OVERLOADED", "SHUTTING_DOWN"];
  return Map.groupBy(
    [...errors, ...EVERYWHERE, ...underLoad].filter((code, i, all) => all.indexOf(code) === i),
    (code) => errorCatalogue[code].status,
  );
}

function requestBodyObject({ schema, examples }: RequestBody<unknown>, schemas: NamedSchemas): Json {
  return {
    required: true,
    content: {
      "application/json": {
        schema: { anyOf: [documented(schema, schemas), documented(camelCased(schema), schemas)] },
        examples: examplesObject(examples),
      },
    },
  };
}

function answerObject(answer: Answer, schemas: NamedSchemas): Json {
  const { description, contentType = "application/json", schema, example, headers = [], optionalHeaders = [] } = answer;
  return {
    description,
    headers: Object.fromEntries([
      ...headers.map((name) => [name, { required: true, ...headerObject(responseHeaders[name], schemas) }] as const),
      ...optionalHeaders.map((name) => [name, headerObject(responseHeaders[name], schemas)] as const),
    ]),
    content: { [contentType]: { schema: documented(schema, schemas), ...(example !== undefined && { example }) } },
  };
}

function problemResponse(codes: readonly ErrorCode[], schemas: NamedSchemas): Json {
  const refs = codes.map((code) => documented(problemSchema(code), schemas));
  const statuses = new Set(codes.map((code) => errorCatalogue[code].status));
  const headers: ResponseHeaderName[] = ["Cache-Control"];
  if (statuses.has(503) || statuses.has(429)) headers.push("Retry-After");
  if (statuses.has(401)) headers.push("WWW-Authenticate");
  if (statuses.has(405)) headers.push("Allow");
  const response = answerObject(
    {
      description: codes.map((code) => `${errorCatalogue[code].title}.`).join(" "),
      contentType: "application/problem+json",
      schema: Type.Unsafe(refs.length === 1 ? refs[0]! : { oneOf: refs }),
      headers,
    },
    schemas,
  );
  const examples = examplesObject(Object.fromEntries(codes.map((code) => [code, problemExample(code)])));
  const { "application/problem+json": media } = response["content"] as Record<string, Json>;
  return { ...response, content: { "application/problem+json": { ...media, examples } } };
}

const headerObject = ({ description, schema, example }: ResponseHeader, schemas: NamedSchemas): Json => ({
  description,
  schema: documented(schema, schemas),
  example,
});

const examplesObject = (examples: Readonly<Record<string, unknown>>): Json =>
  Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]));
