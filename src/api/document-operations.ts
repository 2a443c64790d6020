import { Type } from "@sinclair/typebox";
import type { Operation } from "./openapi.ts";

const document = (path: string, id: string, summary: string): Operation => ({
  method: "GET",
  path,
  id,
  tag: "Documents",
  summary,
  answers: { 200: { description: "The document.", schema: Type.Object({}) } },
});

/** The documents themselves. */
export const documentOperations: readonly Operation[] = [
  document("/openapi.json", "openapi", "This document"),
  document("/asyncapi.json", "asyncapi", "The topics, as AsyncAPI 3"),
  {
    method: "GET",
    path: "/docs",
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
  {
    method: "GET",
    path: "/docs/:file",
    id: "docsFile",
    tag: "Documents",
    summary: "What the page is made of",
    parameters: [{ name: "file", in: "path", description: "A file's name.", schema: Type.String(), example: "swagger-ui.css" }],
    answers: { 200: { description: "The file.", contentType: "text/*", schema: Type.String() } },
    errors: ["NOT_FOUND"],
  },
];
