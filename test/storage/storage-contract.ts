import { expect, test } from "bun:test";
import { codeOf } from "../support/code-of.ts";
import type { ObjectStorage } from "../../src/storage/object-storage.ts";

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString();
const names = async (storage: ObjectStorage, prefix: string): Promise<string[]> =>
  (await storage.list(prefix)).map(({ name }) => name).toSorted();

/** What every storage of objects keeps. */
export function storageContract(storage: () => ObjectStorage): void {
  test("an object is read as it was put, and put again over itself", async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    await storage().put("a/b/bytes", bytes);
    expect(Buffer.from((await storage().get("a/b/bytes", 60_000)) ?? []).equals(Buffer.from(bytes))).toBe(true);
    await storage().put("a/b/bytes", Buffer.from("less"));
    expect(text(await storage().get("a/b/bytes", 60_000))).toBe("less");
  });

  test("an object that is not there is none", async () => {
    expect(await storage().get("none/of/that/name", 10)).toBeUndefined();
    await storage().remove("none/of/that/name");
  });

  test("objects are listed by what their names begin with, with their length and time", async () => {
    const began_ms = Date.now();
    for (const name of ["list/x/1", "list/x/2", "list/xy/3", "list/z"]) await storage().put(name, Buffer.from(name));
    expect(await names(storage(), "list/")).toEqual(["list/x/1", "list/x/2", "list/xy/3", "list/z"]);
    expect(await names(storage(), "list/x/")).toEqual(["list/x/1", "list/x/2"]);
    expect(await names(storage(), "list/x")).toEqual(["list/x/1", "list/x/2", "list/xy/3"]);
    expect(await names(storage(), "nothing/")).toEqual([]);
    const [one] = await storage().list("list/z");
    expect(one?.bytes).toBe(6);
    expect(one?.modified_ms).toBeWithin(began_ms - 2_000, Date.now() + 2_000);
  });

  test("an object that is removed is gone, and the others stay", async () => {
    for (const name of ["gone/1", "gone/2"]) await storage().put(name, Buffer.from(name));
    await storage().remove("gone/1");
    expect(await names(storage(), "gone/")).toEqual(["gone/2"]);
    expect(await storage().get("gone/1", 10)).toBeUndefined();
    await storage().remove("gone/2");
    expect(await names(storage(), "gone/")).toEqual([]);
  });

  test("an object with more bytes than asked for is refused", async () => {
    await storage().put("large", Buffer.alloc(100));
    expect(await codeOf(storage().get("large", 99))).toBe("STORAGE_FAILED");
  });

  test("an object that is put by two at once is that of one of them", async () => {
    const both = ["x", "y"].map((letter) => storage().put("race", Buffer.from(letter.repeat(50_000))));
    await Promise.all(both);
    expect(text(await storage().get("race", 50_000))).toMatch(/^(x{50000}|y{50000})$/);
  });
}
