import { afterAll, beforeAll, expect, test } from "bun:test";
import { S3Storage } from "../../src/storage/s3-storage.ts";
import { systemClock } from "../../src/system/clock.ts";
import { codeOf } from "../support/code-of.ts";
import { type S3Server, s3Suite } from "../support/storage/s3-server.ts";
import { storageContract } from "./storage-contract.ts";

await s3Suite("a bucket of a server that speaks as S3 does", (start) => {
  let server: S3Server;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server[Symbol.asyncDispose]());
  const storage = (): S3Storage => new S3Storage(server.access, systemClock);

  storageContract(storage);

  test("keeps its objects below the prefix, and names none without it", async () => {
    await storage().put("where/it/is", Buffer.from("x"));
    expect(await server.client.file("of/the/tests/where/it/is").text()).toBe("x");
    expect((await storage().list("where/")).map(({ name }) => name)).toEqual(["where/it/is"]);
  });

  test("lists more than a thousand objects", async () => {
    const names = Array.from({ length: 1_005 }, (_, n) => `many/${n}`);
    for (let n = 0; n < names.length; n += 50)
      await Promise.all(names.slice(n, n + 50).map((name) => storage().put(name, Buffer.from("x"))));
    expect(new Set((await storage().list("many/")).map(({ name }) => name))).toEqual(new Set(names));
  });

  test("that refuses the key says so, at once, and the secret is not told", async () => {
    const refused = new S3Storage({ ...server.access, secret_access_key: "another-secret" }, systemClock);
    const began_ms = Date.now();
    const message = await refused.put("x", Buffer.from("x")).then(
      () => "",
      (e: unknown) => String(e),
    );
    expect(message).toContain("SignatureDoesNotMatch");
    expect(message).not.toContain("another-secret");
    expect(Date.now() - began_ms).toBeLessThan(1_000);
  });

  test("that does not exist says so", async () => {
    const missing = new S3Storage({ ...server.access, bucket: "no-such-bucket" }, systemClock);
    await expect(missing.list("")).rejects.toThrow("NoSuchBucket");
    expect(await codeOf(missing.put("x", Buffer.from("x")))).toBe("STORAGE_FAILED");
  });

  test("that is away for a moment is asked again", async () => {
    await storage().put("patient", Buffer.from("x"));
    await server.stop();
    const reading = storage().get("patient", 10);
    await Bun.sleep(300);
    await server.start();
    expect(Buffer.from((await reading) ?? []).toString()).toBe("x");
  });

  test("that stays away fails, and says where it was looked for", async () => {
    await server.stop();
    await expect(storage().get("patient", 10)).rejects.toThrow(/^Reading patient failed at s3:\/\/snapshots\/of\/the\/tests/);
    await server.start();
  });
});
