import { fileURLToPath } from "node:url";
import { openapi } from "@elysiajs/openapi";
import { Elysia } from "elysia";
import { AppError } from "../errors.ts";
import type { HttpRequest } from "../http/http-request.ts";
import type { Route } from "../http/app.ts";
import { asyncApiDocument, type Topics } from "./asyncapi.ts";
import { openApiDocument, type ServiceApi } from "./openapi.ts";

/** Browsers ask for /favicon.ico else. */
const NO_ICON = '<link rel="icon" href="data:," />';

const STYLE = "swagger-ui.css";
const SCRIPT = "swagger-ui-bundle.js";
/** What the page is made of, by its name under /docs. */
const FILES: ReadonlyMap<string, string> = new Map([
  [STYLE, fileURLToPath(import.meta.resolve("swagger-ui-dist/swagger-ui.css"))],
  [SCRIPT, fileURLToPath(import.meta.resolve("swagger-ui-dist/swagger-ui-bundle.js"))],
]);

/** The browser itself refuses what is not from here. The page has a script and styles within it. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * `/openapi.json`, `/docs` to browse it, and `/asyncapi.json`. The Elysia plugin renders document and page on an app of its own, once, the
 * first time they are asked for; the routes answer what it rendered. See docs/decisions/0012-the-documented-api.md.
 */
export function apiRoutes(api: ServiceApi, topics: Topics): Route[] {
  const rendered = new Elysia().use(
    openapi({
      path: "/docs",
      specPath: "/openapi.json",
      provider: "swagger-ui",
      documentation: openApiDocument(api),
      // Links are relative, so that the page works behind a proxy's prefix. It would ask a validator on the Internet but for "none".
      swagger: { cdn: `docs/${SCRIPT}`, theme: `docs/${STYLE}`, validatorUrl: "none" },
    }),
  );
  const renderedOnce = (path: string, headers: Record<string, string>): Route => {
    let body: Promise<string> | undefined;
    const render = async () => {
      const text = await (await rendered.handle(new Request(`http://localhost${path}`))).text();
      return text.replace("</head>", `${NO_ICON}</head>`);
    };
    return { method: "GET", path, handle: async () => new Response(await (body ??= render()), { headers }) };
  };
  const asyncApi = JSON.stringify(asyncApiDocument(topics));
  const jsonHeaders = { "content-type": "application/json" };
  return [
    renderedOnce("/openapi.json", jsonHeaders),
    renderedOnce("/docs", { "content-type": "text/html; charset=utf-8", "content-security-policy": PAGE_POLICY }),
    { method: "GET", path: "/docs/", handle: toDocs },
    { method: "GET", path: "/docs/:file", handle: docsFile },
    { method: "GET", path: "/asyncapi.json", handle: () => new Response(asyncApi, { headers: jsonHeaders }) },
  ];
}

/** The page's links are relative to /docs, and so is this one, to be right below a proxy's prefix. */
const toDocs = (): Response => new Response(null, { status: 308, headers: { location: "../docs" } });

function docsFile(request: HttpRequest): Response {
  const path = FILES.get(request.segment(1));
  if (path === undefined)
    throw new AppError("NOT_FOUND", `There is no such file. What there is: ${[...FILES.keys()].join(", ")}.`);
  const file = Bun.file(path);
  // Named here, so that HEAD has it, too.
  return new Response(file, { headers: { "content-type": file.type } });
}
