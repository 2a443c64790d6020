import { expect, test } from "bun:test";
import { join } from "node:path";

const SOURCE = join(import.meta.dir, "../../../src/runtime/store/state-dir.ts");

/** Opens a store in a process limited to `limit_files` open files, after it has opened `taken` others. */
async function storeOpenedIn(limit_files: number, taken: number): Promise<string> {
  const script = `
    import { mkdtempSync, openSync } from "node:fs";
    import { StateDir } from ${JSON.stringify(SOURCE)};
    const dir = mkdtempSync("/tmp/open-files-");
    const state = StateDir.claim(dir, "log", "test", { newUuid: () => crypto.randomUUID() });
    for (let n = 0; n < ${taken}; n++) openSync("/dev/null", "r");
    const projections = [{ name: "p", version: 1, schema: "CREATE TABLE t (x INTEGER)", open: () => ({}) }];
    try {
      state.open("x.sqlite", projections, { logId: "log", topic: "t" }, 0);
      console.log("opened");
    } catch (e) {
      console.log(e.code + ": " + e.message);
    }
    process.exit(0);`;
  const child = Bun.spawn(["sh", "-c", `ulimit -n ${limit_files}; exec "$0" -e "$1"`, process.execPath, script], {
    stderr: "inherit",
  });
  return (await new Response(child.stdout).text()).trim();
}

test("where files are few, a store is not opened: it is said what is short, and room is left for others", async () => {
  expect(await storeOpenedIn(256, 100)).toBe("opened");
  const why = "STORE_FAILED: too many open files, of which this process may have 256: raise the limit (ulimit -n) to 512";
  expect(await storeOpenedIn(256, 190)).toBe(why);
});
