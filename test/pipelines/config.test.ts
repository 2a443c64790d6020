import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { connectSuite, runConnect } from "../support/brokers/connect.ts";

const TIMEOUT_MS = 90_000;
const directory = join(import.meta.dir, "../../pipelines");
const files = readdirSync(directory)
  .filter((name) => /^[a-z]+\.yaml$/.test(name))
  .map((name) => join(directory, name));

await connectSuite("the pipelines' lint and config tests", (connect) => {
  describe(`the pipelines' lint and config tests (${connect.kind})`, () => {
    test(
      "they pass the linter",
      async () => {
        const lint = await runConnect(connect, ["lint", ...files]);
        expect(lint).toEqual({ ok: true, output: "" });
      },
      TIMEOUT_MS,
    );

    test(
      "their config tests pass",
      async () => {
        const run = await runConnect(connect, ["test", ...files]);
        expect({ ok: run.ok, succeeded: run.output.match(/succeeded$/gm)?.length, output: run.output }).toMatchObject({
          ok: true,
          succeeded: files.length,
        });
      },
      TIMEOUT_MS,
    );
  });
});
