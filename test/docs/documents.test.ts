import { describe, expect, test } from "bun:test";
import { contentAt, deadLinks, documents, isInRepository, longLines, missingPaths, textOf } from "./markdown.ts";

/**
 * The rules about the documents that no formatter checks. Each check is shown to find what it looks for before the
 * documents are held to it.
 */
const paths = documents();

test("there are documents to look at", () => {
  expect(paths).toEqual(expect.arrayContaining(["README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md", "deploy/README.md"]));
});

describe("lines end before 120 columns", () => {
  test("the check finds what is too long, in prose and in code", () => {
    const long = "x".repeat(120);
    expect(longLines(`${long}\n\n\`\`\`sh\n# ${long}\n\`\`\`\n| ${long} |\n`)).toEqual([long, `# ${long}`]);
    expect(longLines(`See [this](https://example.org/${long}), ${"x".repeat(100)}\n`)).toEqual([]);
    expect(longLines("…".repeat(119))).toEqual([]);
  });

  test.each(paths)("%s", (path) => {
    expect(longLines(textOf(path))).toEqual([]);
  });
});

describe("relative links lead somewhere", () => {
  test("the check finds a file and a heading that are not there", () => {
    const files = (path: string) => (path === "docs/api.md" ? "# The API\n\n## What is `404`, and why?\n" : undefined);
    const links = ["../docs/api.md", "api.md#what-is-404-and-why", "#here", "https://example.org/none"];
    expect(deadLinks("docs/a.md", `## Here\n${links.map((link) => `[x](${link})`).join("\n")}`, files)).toEqual([]);
    const dead = ["nothing.md", "api.md#nowhere", "#nowhere"];
    expect(deadLinks("docs/a.md", `## Here\n${dead.map((link) => `[x](${link})`).join("\n")}`, files)).toEqual(dead);
    expect(deadLinks("README.md", '<img src="docs/none.png">', files)).toEqual(["docs/none.png"]);
  });

  test.each(paths)("%s", (path) => {
    expect(deadLinks(path, textOf(path), contentAt)).toEqual([]);
  });
});

describe("paths of source and tests that are named are there", () => {
  test("the check finds one that is not", () => {
    const isThere = (path: string) => ["src/main.ts", "test/a/*.test.ts", "src/log/"].includes(path);
    expect(missingPaths("See `src/main.ts`, `test/a/*.test.ts`, (src/log/).", isThere)).toEqual([]);
    expect(missingPaths("See `src/mian.ts` and test/b/.", isThere)).toEqual(["src/mian.ts", "test/b/"]);
  });

  test.each(paths)("%s", (path) => {
    expect(missingPaths(textOf(path), isInRepository)).toEqual([]);
  });
});
