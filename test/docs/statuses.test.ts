import { expect, test } from "bun:test";
import { readinessProperties } from "../../src/api/health-endpoints.ts";
import { textOf } from "./markdown.ts";

/** The schema is given its words as they are, so its type does not have them. */
const statuses = (readinessProperties.status as unknown as { enum: readonly string[] }).enum;

test("the manual says of each status of /health/ready what it means, and what to do", () => {
  const [, chapter = ""] = textOf("docs/operating.md").split("\n## What does the status in `/health/ready` mean?\n");
  const rows = chapter.split("\n## ")[0]!.matchAll(/^\| `([a-z-]+)` +\|/gm);
  expect(new Set(Array.from(rows, ([, status]) => status))).toEqual(new Set(statuses));
});
