import { describe, expect, test } from "bun:test";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isSameSecret, ownSecret } from "../../src/system/secrets.ts";
import { repository } from "../support/programs/repository.ts";
import { tempDir } from "../support/stores/temp-dir.ts";

const bytes = (n: number) => new Uint8Array(32).fill(n);

describe("the secret of a directory", () => {
  test("is made once, for this user alone, and then stays", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "sub", "peer-token");
    expect(ownSecret(path, bytes(1))).toBe("01".repeat(32));
    expect(ownSecret(path, bytes(2))).toBe("01".repeat(32));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(dir.path, "sub"))).toEqual(["peer-token"]);
  });

  test("is the same for processes that start at the same time", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "peer-token");
    const script = `
      const { ownSecret } = await import(${JSON.stringify(join(repository, "src/system/secrets.ts"))});
      console.log(ownSecret(${JSON.stringify(path)}, crypto.getRandomValues(new Uint8Array(32))));`;
    const children = Array.from({ length: 6 }, () => Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" }));
    const secrets = await Promise.all(children.map((child) => new Response(child.stdout).text()));
    expect(new Set(secrets).size).toBe(1);
    expect(secrets[0]).toMatch(/^[0-9a-f]{64}\n$/);
    expect(readdirSync(dir.path)).toEqual(["peer-token"]);
  });

  test.each(["", "short\n", `${"0".repeat(63)}x\n`])(
    "that is something else, %j, is refused, and it is said what to do",
    async (content) => {
      await using dir = await tempDir();
      const path = join(dir.path, "peer-token");
      writeFileSync(path, content);
      expect(() => ownSecret(path, bytes(1))).toThrow(
        expect.objectContaining({ code: "CONFIG_INVALID", message: expect.stringContaining("remove it") }),
      );
    },
  );

  test("that cannot be made is refused with the cause", async () => {
    await using dir = await tempDir();
    writeFileSync(join(dir.path, "file"), "");
    expect(() => ownSecret(join(dir.path, "file", "peer-token"), bytes(1))).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  });
});

test("secrets are compared as a whole", () => {
  expect([isSameSecret("abc", "abc"), isSameSecret("abc", "abd"), isSameSecret("abc", ""), isSameSecret("abc", "abcd")]).toEqual([
    true,
    false,
    false,
    false,
  ]);
});
