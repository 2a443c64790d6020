import { fileURLToPath } from "node:url";
import { openapi } from "@elysiajs/openapi";
import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { AppError } from "../errors.ts";
import type { Documentation } from "../http/endpoint/documentation.ts";
import { type Endpoint, endpoint } from "../http/endpoint/endpoint.ts";
import { pathParameter } from "../http/endpoint/parameter.ts";
import { asyncApiDocument, type Topics } from "./asyncapi.ts";
import { openApiDocument, type ServiceDescription } from "./openapi.ts";

/** Without this, browsers ask for /favicon.ico. */
const NO_ICON = '<link rel="icon" href="data:," />';

const STYLE = "swagger-ui.css";
const SCRIPT = "swagger-ui-bundle.js";
/** The files that the page is made of, by their names under /docs. */
const FILES: ReadonlyMap<string, string> = new Map([
  [STYLE, fileURLToPath(import.meta.resolve("swagger-ui-dist/swagger-ui.css"))],
  [SCRIPT, fileURLToPath(import.meta.resolve("swagger-ui-dist/swagger-ui-bundle.js"))],
]);

/** Makes the browser itself refuse what is not from this service. The page has an inline script and inline styles. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Resolves with an answer's text, which is made once, when it is first asked for. */
type Rendered = () => Promise<string>;

const once = (render: () => Promise<string>): Rendered => {
  let text: Promise<string> | undefined;
  return () => (text ??= render());
};

/**
 * A service's endpoints, followed by those that describe all of them: `/openapi.json`, `/docs` to browse it, and
 * `/asyncapi.json`. The Elysia plugin renders the document and the page on an app of its own, and the endpoints answer
 * with what it rendered. See docs/decisions/0012-the-documented-api.md.
 */
export function withDocuments(service: ServiceDescription, endpoints: readonly Endpoint[], topics: Topics): Endpoint[] {
  let app: Elysia | undefined;
  const rendered = (path: string): Rendered =>
    once(async () => {
      app ??= documentsApp(openApiDocument(service, all));
      return (await app.handle(new Request(`http://localhost${path}`))).text();
    });
  const all: Endpoint[] = [
    ...endpoints,
    openApi(rendered("/openapi.json")),
    docsPage(rendered("/docs")),
    docsSlash,
    docsFile,
    asyncApi(once(async () => JSON.stringify(asyncApiDocument(topics)))),
  ];
  return all;
}

const documentsApp = (documentation: object): Elysia =>
  new Elysia().use(
    openapi({
      path: "/docs",
      specPath: "/openapi.json",
      provider: "swagger-ui",
      documentation,
      // Links are relative, so that the page works behind a proxy's prefix. "none" keeps it from asking a validator on
      // the Internet.
      swagger: { cdn: `docs/${SCRIPT}`, theme: `docs/${STYLE}`, validatorUrl: "none" },
    }),
  );

const jsonHeaders = { "content-type": "application/json" };

const documentation = (id: string, summary: string): Documentation => ({
  id,
  tag: "Documents",
  summary,
  answers: { 200: { description: "The document.", schema: Type.Object({}) } },
});

const openApi = (text: Rendered): Endpoint =>
  endpoint({
    method: "GET",
    path: "/openapi.json",
    documentation: documentation("openapi", "This document"),
    handle: async () => new Response(await text(), { headers: jsonHeaders }),
  });

const asyncApi = (text: Rendered): Endpoint =>
  endpoint({
    method: "GET",
    path: "/asyncapi.json",
    documentation: documentation("asyncapi", "The topics, as AsyncAPI 3"),
    handle: async () => new Response(await text(), { headers: jsonHeaders }),
  });

const docsPage = (html: Rendered): Endpoint =>
  endpoint({
    method: "GET",
    path: "/docs",
    documentation: {
      id: "docs",
      tag: "Documents",
      summary: "This document to browse, without the Internet",
      answers: {
        200: {
          description: "A page.",
          contentType: "text/html",
          schema: Type.String(),
          headers: ["Content-Security-Policy"],
        },
      },
    },
    handle: async () =>
      new Response((await html()).replace("</head>", `${NO_ICON}</head>`), {
        headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": PAGE_POLICY },
      }),
  });

const docsSlash: Endpoint = endpoint({
  method: "GET",
  path: "/docs/",
  undocumented: "It redirects to the page for those who add a slash.",
  // The location is relative, like the page's links, so that it is right behind a proxy's prefix.
  handle: () => new Response(null, { status: 308, headers: { location: "../docs" } }),
});

const docsFile: Endpoint = endpoint({
  method: "GET",
  path: "/docs/:file",
  documentation: {
    id: "docsFile",
    tag: "Documents",
    summary: "What the page is made of",
    answers: { 200: { description: "The file.", contentType: "text/*", schema: Type.String() } },
    errors: ["NOT_FOUND"],
  },
  parameters: [pathParameter("file", { description: "A file's name.", schema: Type.String(), example: STYLE })],
  handle: (_, { file: name }) => {
    const path = FILES.get(name);
    if (path === undefined)
      throw new AppError("NOT_FOUND", `There is no such file. What there is: ${[...FILES.keys()].join(", ")}.`);
    const file = Bun.file(path);
    // The type is given here, so that HEAD has it, too.
    return new Response(file, { headers: { "content-type": file.type } });
  },
});
