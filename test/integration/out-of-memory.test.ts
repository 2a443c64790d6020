import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { OUT_OF_MEMORY } from "../../src/system/out-of-memory.ts";
import { bunSettings } from "../support/programs/processes.ts";
import { repository } from "../support/programs/repository.ts";
import { runBounded } from "../support/programs/tied-process.ts";
import { tempDir } from "../support/stores/temp-dir.ts";

const RUN_MS_MAX = 30_000;
const ADDRESS_SPACE_KIB = 4_000_000;
/** Loaded with the program: after a second it takes all the memory that there is. */
const GREEDY = `
setTimeout(() => {
  for (const kept = []; ; ) kept.push(new Uint8Array(64 * 1024 * 1024));
}, 1_000);
`;

test(
  "a process that gets no more memory says so and what to do, and ends with 1",
  async () => {
    await using dir = await tempDir();
    const greedy = join(dir.path, "greedy.ts");
    writeFileSync(greedy, GREEDY);
    const program = [process.execPath, "--preload", greedy, join(repository, "src/main.ts"), "both"];
    const limited = `ulimit -v ${ADDRESS_SPACE_KIB}; "$@"; echo "It ended with $?."`;
    const { PATH, HOME, TMPDIR } = process.env;
    const env = { PATH, HOME, TMPDIR, ...bunSettings, DATA_DIR: join(dir.path, "data"), CART_PORT: "0", ORDER_PORT: "0" };
    const { output } = await runBounded(["sh", "-c", limited, "sh", ...program], RUN_MS_MAX, { ...env, LOG_FORMAT: "json" });
    const last = output.trim().split("\n").slice(-2);
    expect(JSON.parse(last[0] ?? "")).toMatchObject({ level: "fatal", msg: OUT_OF_MEMORY });
    expect(last[1]).toBe("It ended with 1.");
  },
  RUN_MS_MAX,
);
