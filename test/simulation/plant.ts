import { readFileSync } from "node:fs";
import { join } from "node:path";
import { plugin } from "bun";
import { PLANTED_BUGS } from "./planted/planted-bugs.ts";

/** `PLANTED_BUG=<name> bun --preload ./test/simulation/plant.ts …`: runs the source with that bug in it. */
const name = process.env["PLANTED_BUG"] ?? "";
const bug = PLANTED_BUGS[name];
if (!bug) throw new Error(`There is no planted bug "${name}".`);

const texts = new Map<string, string>();
for (const { file, find, replace } of [bug, ...(bug.also ?? [])]) {
  const text = texts.get(file) ?? readFileSync(join(import.meta.dir, "../..", file), "utf8");
  const parts = text.split(find);
  // Code that is moved or changed must take its planted bug along; otherwise the check is lost.
  if (parts.length !== 2) throw new Error(`"${name}": its place is ${parts.length - 1} times in ${file}, not once.`);
  texts.set(file, parts.join(replace));
}

plugin({
  name: "plant",
  setup: (build) => {
    for (const [file, contents] of texts)
      build.onLoad({ filter: new RegExp(`${file.replaceAll(".", "\\.")}$`) }, () => ({ contents, loader: "ts" }));
  },
});
