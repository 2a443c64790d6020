import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

export type Schema = Readonly<Record<string, unknown>>;

interface Described {
  readonly description?: string;
  readonly schema: Schema;
  readonly required?: boolean;
  readonly example?: unknown;
}

interface Media {
  readonly schema: Schema;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

interface DocumentedResponse {
  readonly headers: Readonly<Record<string, Described>>;
  readonly content: Readonly<Record<string, Media>>;
}

export interface DocumentedOperation {
  readonly operationId: string;
  readonly parameters?: readonly (Described & { readonly name: string; readonly in: string })[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, DocumentedResponse>>;
}

/** An OpenAPI document, as far as the tests read it. */
export interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly responses: Readonly<Record<string, DocumentedResponse>>;
  };
}

/** HTTP's own headers, which no document mentions. */
const transportHeaders = ["connection", "content-length", "content-type", "date", "keep-alive", "transfer-encoding"];

/** Checks answers against an OpenAPI document, and remembers which of the documented ones were seen. */
export class ApiDocument {
  readonly seen = new Set<string>();
  readonly #validates: (schema: Schema, value: unknown) => string[];

  constructor(readonly document: OpenApi) {
    this.#validates = schemaCheck({ components: document.components });
  }

  static async of(serviceUrl: string): Promise<ApiDocument> {
    return new ApiDocument((await (await fetch(`${serviceUrl}/openapi.json`)).json()) as OpenApi);
  }

  /** Every `<operationId> <status>` of the document. */
  get documented(): string[] {
    return Object.values(this.document.paths).flatMap((path) =>
      Object.values(path).flatMap(({ operationId, responses }) =>
        Object.keys(responses).map((status) => `${operationId} ${status}`),
      ),
    );
  }

  /** Like `fetch`, but throws if the answer is not as documented. */
  readonly ask = async (url: string, init: RequestInit = {}): Promise<Response> => {
    const response = await fetch(url, init);
    const complaints = await this.complaints(init.method ?? "GET", url, response);
    if (complaints.length > 0) throw new Error(`The answer is not as documented:\n${complaints.join("\n")}`);
    return response;
  };

  /**
   * The ways in which the answer differs from the document; none if it is as documented. The body is read from a clone
   * of the response.
   */
  async complaints(method: string, url: string, response: Response): Promise<string[]> {
    const { pathname } = new URL(url);
    const asked = `${method} ${pathname} ${response.status}`;
    const documented = this.#find(method, pathname, response.status);
    if (!documented) return [`${asked}: an undocumented status`];
    const complaints: string[] = [];
    for (const [name, { required, schema }] of Object.entries(documented.headers)) {
      const value = response.headers.get(name);
      if (value === null && required) complaints.push(`${asked}: no header ${name}`);
      if (value !== null) complaints.push(...this.#validates(schema, value).map((why) => `${asked}: header ${name}: ${why}`));
    }
    const names = new Set([...transportHeaders, ...Object.keys(documented.headers).map((name) => name.toLowerCase())]);
    for (const name of response.headers.keys()) if (!names.has(name)) complaints.push(`${asked}: undocumented header ${name}`);
    const type = response.headers.get("content-type")?.split(";")[0] ?? "none";
    const media = documented.content[type] ?? documented.content[`${type.split("/")[0]}/*`];
    if (!media) return [...complaints, `${asked}: undocumented content type ${type}`];
    const text = await response.clone().text();
    const body: unknown = type.endsWith("json") ? JSON.parse(text) : text;
    return [...complaints, ...this.#validates(this.#schemaFor(media.schema, body), body).map((why) => `${asked}: body${why}`)];
  }

  /**
   * The schema of the one problem that the body claims to be, among those of its status, so that the complaints are
   * about that one.
   */
  #schemaFor(schema: Schema, body: unknown): Schema {
    const refs = (schema["oneOf"] as readonly { $ref: string }[] | undefined) ?? [];
    const { code } = body as { code?: unknown };
    return refs.find(({ $ref }) => $ref === `#/components/schemas/${String(code)}`) ?? schema;
  }

  #find(method: string, pathname: string, status: number): DocumentedResponse | undefined {
    const { paths, components } = this.document;
    const template = Object.keys(paths).find((path) =>
      new RegExp(`^${path.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(pathname),
    );
    if (template === undefined) return status === 404 ? components.responses["NOT_FOUND"] : undefined;
    const operations = paths[template] ?? {};
    // A path's 405 is documented at each of its operations.
    const operation = operations[method.toLowerCase()] ?? (status === 405 ? Object.values(operations)[0] : undefined);
    const response = operation?.responses[status];
    if (operation && response) this.seen.add(`${operation.operationId} ${status}`);
    return response;
  }
}

/** Validates against schemas of a document whose objects are closed: a field that they do not name is an error. */
export function schemaCheck(document: Schema): (schema: Schema, value: unknown) => string[] {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  const root = closed(document) as Schema;
  const compiled = new Map<string, ReturnType<typeof ajv.compile>>();
  return (schema, value) => {
    const key = JSON.stringify(schema);
    const check = compiled.get(key) ?? ajv.compile({ ...root, ...(closed(schema) as Schema) });
    compiled.set(key, check);
    return check(value) ? [] : (check.errors ?? []).map((e) => `${e.instancePath}: ${e.message} ${JSON.stringify(e.params)}`);
  };
}

function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([name, part]) => [name, closed(part)]));
  const { type, properties } = inner as { type?: unknown; properties?: object };
  return type === "object" && properties && Object.keys(properties).length > 0
    ? { ...inner, additionalProperties: false }
    : inner;
}
