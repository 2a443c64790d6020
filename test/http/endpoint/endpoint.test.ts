import { describe, expect, test } from "bun:test";
import { Type } from "@sinclair/typebox";
import { AppError } from "../../../src/errors.ts";
import { type Endpoint, endpoint } from "../../../src/http/endpoint/endpoint.ts";
import { optionalQueryParameter, pathParameter, queryParameter } from "../../../src/http/endpoint/parameter.ts";
import { idempotencyKey, requestedPosition } from "../../../src/http/endpoint/request-headers.ts";
import { HttpRequest } from "../../../src/http/http-request.ts";
import { serviceEndpoints } from "../../support/http/service-endpoints.ts";

const shelf = pathParameter("shelf", {
  description: "Its number.",
  schema: Type.String({ pattern: "^[0-9]+$" }),
  example: "3",
  decode: Number,
  refusal: () => new AppError("NOT_FOUND", "A shelf is a number."),
});
const limit = queryParameter("limit", {
  description: "At most.",
  schema: Type.Integer({ minimum: 1, maximum: 200, must: "be an integer from 1 to 200" }),
  example: 50,
});
const title = optionalQueryParameter("title", {
  description: "Only these.",
  schema: Type.String({ maxLength: 3, must: "be a short title" }),
  example: "abc",
});

const books = endpoint({
  method: "GET",
  path: "/shelves/:shelf/books",
  undocumented: "It is a test's.",
  parameters: [shelf, limit, title, requestedPosition],
  handle: (_, parameters) => {
    // The types of the parameters come from their schemas.
    const read: { shelf: number; limit: number; title: string | undefined } = {
      shelf: parameters.shelf,
      limit: parameters.limit,
      title: parameters.title,
    };
    return Response.json({ ...read, position: parameters["Log-Position"] });
  },
});

const ask = async (target: string, headers: Record<string, string> = {}, of: Endpoint = books): Promise<unknown> => {
  try {
    return await (await of.handle(HttpRequest.of(new Request(`http://localhost${target}`, { headers })))).json();
  } catch (e) {
    if (!(e instanceof AppError)) throw e;
    return `${e.code}: ${e.message}`;
  }
};

describe("an endpoint's parameters", () => {
  test("are what the request has in path, query and headers, as their schemas say", async () => {
    expect(await ask("/shelves/7/books?limit=200&title=a%20b", { "log-position": "3:17" })).toEqual({
      shelf: 7,
      limit: 200,
      title: "a b",
      position: { partition: 3, offset: 17 },
    });
    expect(await ask("/shelves/7/books?limit=0200")).toEqual({ shelf: 7, limit: 200 });
  });

  test.each([
    ["/shelves/x/books?limit=1", "NOT_FOUND: A shelf is a number."],
    ["/shelves/1/books", "INVALID_FIELD: limit must be an integer from 1 to 200."],
    ...["", "0", "201", "1e2", "-1", "1.0", "%201", "00001"].map((odd) => [
      `/shelves/1/books?limit=${odd}`,
      "INVALID_FIELD: limit must be an integer from 1 to 200.",
    ]),
    ["/shelves/1/books?limit=1&title=abcd", "INVALID_FIELD: title must be a short title."],
    ["/shelves/1/books?limit=1&title=a&title=b", "INVALID_FIELD: title must be given once, or with one value."],
  ])("of %s are refused with a sentence", async (target, refusal) => {
    expect(await ask(target)).toBe(refusal);
  });

  test("are refused in the order in which the handler reads them", async () => {
    expect(await ask("/shelves/1/books?limit=0&title=abcd", { "log-position": "x" })).toStartWith("INVALID_FIELD: limit ");
    expect(await ask("/shelves/1/books?limit=1", { "log-position": "x" })).toStartWith("LOG_POSITION_INVALID: ");
  });

  test("that its path names are described, and no others", () => {
    const handle = () => new Response();
    const made = (path: string, parameters: [] | [typeof shelf]) => () =>
      endpoint({ method: "GET", path, undocumented: "It is a test's.", parameters, handle });
    expect(made("/shelves/:shelf", [])).toThrow("described are");
    expect(made("/shelves", [shelf])).toThrow("described are");
    expect(made("/shelves/:shelf", [shelf])).not.toThrow();
  });
});

test("only who may is asked for anything else", async () => {
  const refuse = () => {
    throw new AppError("OPERATOR_ONLY", "No.");
  };
  const guarded = endpoint({ ...books, undocumented: "It is a test's.", operatorOnly: refuse });
  expect(await ask("/shelves/x/books", {}, guarded)).toBe("OPERATOR_ONLY: No.");
});

const { cart, orders } = serviceEndpoints();
const ofClients = [...cart, ...orders].filter(({ isHop }) => isHop !== true);

test("each example of a parameter is one that the endpoint takes", () => {
  const all = [...cart, ...orders].flatMap(({ parameters }) => parameters);
  expect(all.length).toBeGreaterThan(15);
  expect(all).toContain(idempotencyKey);
  for (const { parse, example } of all) expect(() => parse(String(example))).not.toThrow();
});

const refusalOf = (parse: () => unknown): AppError | undefined => {
  try {
    parse();
    return undefined;
  } catch (e) {
    if (!(e instanceof AppError)) throw e;
    return e;
  }
};

test("whatever a parameter or a body is, it is taken, or refused with a whole sentence and a code that the endpoint documents", () => {
  const codes = new Set<string>();
  for (const { path, parameters, body, documentation } of ofClients) {
    const parses = [
      ...parameters.flatMap(({ parse, in: place }) => {
        // A path always has its parameters.
        const texts = [...(place === "path" ? [] : [undefined]), "", "\n", "\u0000", "ä", "-1", "x".repeat(300), "9".repeat(300)];
        return texts.map((text) => () => parse(text));
      }),
      ...(body ? [null, [], {}, { order_id: 1 }].map((json) => () => body.parse(json)) : []),
    ];
    for (const refusal of parses.map(refusalOf)) {
      if (!refusal) continue;
      codes.add(refusal.code);
      expect([path, ...(documentation?.errors ?? [])]).toContain(refusal.code);
      expect(refusal.message).toEndWith(".");
      expect(refusal.message).not.toMatch(/undefined|null/);
    }
  }
  expect([...codes].toSorted()).toEqual(["IDEMPOTENCY_KEY_INVALID", "INVALID_FIELD", "LOG_POSITION_INVALID", "NOT_FOUND"]);
});

test("each integer in a query is refused beyond the bounds that are documented, and absent it is its default", () => {
  const integers = ofClients.flatMap(({ parameters }) => parameters).filter(({ schema }) => schema.type === "integer");
  expect(integers).toHaveLength(3);
  for (const { name, parse, schema } of integers) {
    const { minimum, maximum, default: absent } = schema as { minimum: number; maximum: number; default: number };
    expect([parse(undefined), parse(String(minimum)), parse(String(maximum))]).toEqual([absent, minimum, maximum]);
    const refusal = `${name} must be an integer from ${minimum} to ${maximum}.`;
    for (const odd of [minimum - 1, maximum + 1]) expect(() => parse(String(odd))).toThrow(refusal);
  }
});
