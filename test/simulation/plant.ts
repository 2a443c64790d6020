import { readFileSync } from "node:fs";
import { join } from "node:path";
import { plugin } from "bun";
import { PLANTED_BUGS } from "./planted-bugs.ts";

/** `PLANTED_BUG=<name> bun --preload ./test/simulation/plant.ts …`: runs the source with that bug in it. */
const name = process.env["PLANTED_BUG"] ?? "";
const bug = PLANTED_BUGS[name];
if (!bug) throw new Error(`There is no planted bug "${name}".`);

const path = join(import.meta.dir, "../..", bug.file);
const parts = readFileSync(path, "utf8").split(bug.find);
// Code that moved must take its planted bug along, or the check it stands for is gone.
if (parts.length !== 2) throw new Error(`"${name}": its place is ${parts.length - 1} times in ${bug.file}, not once.`);

plugin({
  name: "plant",
  setup: (build) => {
    build.onLoad({ filter: new RegExp(`${bug.file.replaceAll(".", "\\.")}$`) }, () => ({
      contents: parts.join(bug.replace),
      loader: "ts",
    }));
  },
});
