import { readFileSync } from "node:fs";
import { join } from "node:path";
import { plugin } from "bun";
import { repository } from "./repository.ts";

/** `bun --preload …/newer-version.ts src/main.ts`: the program as its next version is, whose orders are another projection. */
const file = "src/services/orders/state/order-projection.ts";
const version = /(export const orderProjection[^]*?version: )([A-Za-z0-9_]+),/;
const text = readFileSync(join(repository, file), "utf8");
if (!version.test(text)) throw new Error(`${file} has no version where it is looked for.`);

plugin({
  name: "newer-version",
  setup: (build) => {
    build.onLoad({ filter: new RegExp(`${file.replaceAll(".", "\\.")}$`) }, () => ({
      contents: text.replace(version, "$1$2 + 1,"),
      loader: "ts",
    }));
  },
});
