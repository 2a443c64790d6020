import { expect } from "bun:test";
import { type ErrorCode, errorCatalogue } from "../../../src/errors.ts";

/** Expects the answer to be that problem, as the catalogue of errors defines it; returns its body. */
export async function expectProblem(response: Response, code: ErrorCode): Promise<Record<string, unknown>> {
  const { status, title } = errorCatalogue[code];
  const body = (await response.json()) as Record<string, unknown>;
  expect(body).toMatchObject({ type: `urn:problem:${code.toLowerCase().replaceAll("_", "-")}`, title, status, code });
  expect(response.status).toBe(status);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(body.detail).toMatch(/^[A-Za-z/\d].*\.$/);
  expect(response.headers.get("retry-after")).toBe(status === 503 ? retryAfterOf(code) : null);
  return body;
}

/** A partition that is halted waits for a person. */
const retryAfterOf = (code: ErrorCode): string => (code === "PARTITION_HALTED" ? "30" : "1");
