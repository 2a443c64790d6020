import { describe, expect, test } from "bun:test";
import * as asyncApiSpecs from "@asyncapi/specs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv, type AnySchema } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { asyncApiDocument } from "../../src/api/asyncapi.ts";
import { documented } from "../../src/api/json-schema.ts";
import { errorCatalogue } from "../../src/errors.ts";
import type { Endpoint } from "../../src/http/endpoint/endpoint.ts";
import { HttpRequest } from "../../src/http/http-request.ts";
import { type OpenApi, type Schema, schemaCheck } from "../support/http/api-document.ts";
import { serviceEndpoints, TOPICS } from "../support/http/service-endpoints.ts";

const { cart, orders } = serviceEndpoints();

const served = async (endpoints: readonly Endpoint[], path: string): Promise<Response> => {
  const found = endpoints.find((one) => one.path === path);
  if (!found) throw new Error(`There is no endpoint ${path}.`);
  return found.handle(HttpRequest.of(new Request(`http://127.0.0.1${path}`)));
};

const openApi = new Validator();
const jsonSchema = new Ajv2020({ strict: false });
// AsyncAPI's schema contains the schema of JSON Schema draft 7, so Ajv must not add its own.
const asyncApi = new Ajv({ strict: false, allErrors: true, meta: false, validateSchema: false });
addFormats.default(asyncApi);
const isAsyncApi = asyncApi.compile(asyncApiSpecs.schemas["3.0.0"] as AnySchema);

/** What OpenAPI 3.1's own schema finds wrong with the document, and JSON Schema 2020-12's with the schemas in it. */
async function openApiComplaints(document: OpenApi): Promise<string[]> {
  const { valid, errors } = await openApi.validate(structuredClone(document) as never);
  const schemas = Object.entries(document.components.schemas).filter(([, schema]) => !jsonSchema.validateSchema(schema));
  return [...(valid ? [] : [JSON.stringify(errors)]), ...schemas.map(([name]) => `${name} is no schema`)];
}

const asyncApiComplaints = (document: object): string[] =>
  isAsyncApi(document) ? [] : (isAsyncApi.errors ?? []).map((e) => `${e.instancePath} ${e.message}`);

const documentOf = async (endpoints: readonly Endpoint[]) => (await (await served(endpoints, "/openapi.json")).json()) as OpenApi;

describe.each([
  ["cart", "Cart service", cart, await documentOf(cart)],
  ["order", "Order service", orders, await documentOf(orders)],
] as const)("the %s service's OpenAPI document", (_, title, endpoints, document) => {
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));

  test("is OpenAPI 3.1", async () => {
    expect(document.openapi).toStartWith("3.1.");
    expect(await openApiComplaints(document)).toEqual([]);
  });

  test("is checked by a schema that finds what is wrong", async () => {
    const first = Object.keys(document.paths)[0]!;
    const broken: object[] = [
      { ...document, info: { title: "no version" } },
      { ...document, paths: { "no slash": document.paths[first] } },
      { ...document, paths: { [first]: { get: { responses: { 200: { content: {} } } } } } },
      { ...document, paths: { [first]: { get: { parameters: [{ name: "x", in: "nowhere" }], responses: {} } } } },
      { ...document, components: { ...document.components, schemas: { Odd: { type: "text" } } } },
    ];
    for (const one of broken) expect(await openApiComplaints(one as OpenApi)).not.toEqual([]);
  });

  test("has examples, and each is valid by its own schema", () => {
    const validates = schemaCheck({ components: document.components });
    const medias = operations.flatMap(({ requestBody, responses }) =>
      [...(requestBody ? [requestBody] : []), ...Object.values(responses)].flatMap(({ content }) => Object.values(content)),
    );
    const values = medias.flatMap(({ schema, example, examples }) => [
      ...(example === undefined ? [] : [{ schema, value: example }]),
      ...Object.values(examples ?? {}).map(({ value }) => ({ schema, value })),
    ]);
    const headers = operations.flatMap(({ responses }) => Object.values(responses).flatMap((one) => Object.values(one.headers)));
    values.push(...headers.map(({ schema, example }) => ({ schema, value: example })));
    const parameters = endpoints.flatMap((endpoint) => endpoint.parameters);
    values.push(...parameters.map(({ schema, example }) => ({ schema: documented(schema, {}), value: example })));
    expect(values.length).toBeGreaterThan(50);
    for (const { schema, value } of values)
      expect({ value, complaints: validates(schema, value) }).toEqual({ value, complaints: [] });
  });

  test("has nothing filled in for whoever tries an endpoint out, but what must be given: an optional parameter's example is in words", () => {
    const parameters = operations.flatMap((operation) => operation.parameters ?? []);
    const optional = parameters.filter(({ required }) => !required);
    expect(optional.length).toBeGreaterThan(2);
    for (const { name, description, example, examples, schema } of optional as ((typeof optional)[number] & Schema)[]) {
      expect([name, example, examples, schema["example"], schema["examples"]]).toEqual([name, ...Array(4)]);
      expect(description).toMatch(/\. For example: \S+$/);
    }
    for (const { name, example } of parameters.filter(({ required }) => required))
      expect([name, example]).not.toContain(undefined);
  });

  test("is browsed on a page that asks nothing off the machine", async () => {
    const page = await served(endpoints, "/docs");
    const html = await page.text();
    expect(html).toContain(`<title>${title}</title>`);
    expect(html).not.toMatch(/https?:|\/\/[a-z]/);
    expect(html).toContain('"validatorUrl":"none"');
    expect(page.headers.get("content-security-policy")).toStartWith("default-src 'none'; script-src 'self'");
    // The redirect is relative, so that it also leads to the page below a proxy's prefix.
    const redirect = await served(endpoints, "/docs/");
    expect([redirect.status, redirect.headers.get("location")]).toEqual([308, "../docs"]);
  });
});

test("every error of the catalogue that reaches a client is in a document", async () => {
  const documents = await Promise.all([documentOf(cart), documentOf(orders)]);
  const inDocuments = new Set(documents.flatMap(({ components }) => Object.keys(components.schemas)));
  // Any error with status 500 is answered as INTERNAL.
  const answered = Object.entries(errorCatalogue).filter(([code, { status }]) => status !== 500 || code === "INTERNAL");
  const missing = answered.map(([code]) => code).filter((code) => !inDocuments.has(code));
  // The first two are said by order services to each other, and the audit reports the third, about a service.
  expect(missing).toEqual(["PEER_TOKEN_NEEDED", "PEER_TOKEN_WRONG", "SERVICE_UNAVAILABLE"]);
});

describe("the AsyncAPI document", () => {
  const document = asyncApiDocument(TOPICS);

  test("is AsyncAPI 3", () => {
    expect(asyncApiComplaints(document)).toEqual([]);
  });

  test("is checked by a schema that finds what is wrong", () => {
    expect(asyncApiComplaints({ ...document, asyncapi: "2.6.0" })).not.toEqual([]);
    expect(asyncApiComplaints({ ...document, info: { title: "no version" } })).not.toEqual([]);
    expect(asyncApiComplaints({ ...document, operations: { one: { action: "publish" } } })).not.toEqual([]);
    expect(asyncApiComplaints({ ...document, channels: { one: { messages: [] } } })).not.toEqual([]);
  });

  test("is the same on both services, and names the topics as they are set", async () => {
    const [ofCart, ofOrders] = await Promise.all(
      [cart, orders].map(async (endpoints) => (await served(endpoints, "/asyncapi.json")).json()),
    );
    expect(ofCart).toEqual(ofOrders);
    expect(ofCart).toEqual(document);
    const { channels } = asyncApiDocument({ orders_topic: "a", dead_letter_topic: "a.dlq" });
    expect(Object.values(channels as Record<string, { address: string }>).map(({ address }) => address)).toEqual([
      "a",
      "a.dlq",
      "a.parked",
    ]);
  });

  test("has examples, and each is valid by its own schemas", () => {
    type Message = { headers: Schema; payload: Schema; examples: { headers?: unknown; payload: unknown }[] };
    const { components } = document as { components: { messages: Record<string, Message> } };
    const validates = schemaCheck({ components });
    const examples = Object.values(components.messages).flatMap((message) =>
      message.examples.map((one) => ({ message, ...one })),
    );
    expect(examples).toHaveLength(4);
    for (const { message, headers = {}, payload } of examples) {
      expect([...validates(message.headers, headers), ...validates(message.payload, payload)]).toEqual([]);
    }
  });
});
