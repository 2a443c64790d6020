import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";

/**
 * The rules about the source that no compiler checks. Each one is shown to find what it looks for, in a small tree made up
 * for it, before the real tree is held to it.
 */
type Tree = ReadonlyMap<string, string>;
type Rule = (tree: Tree) => string[];

const bottom = ["clock", "random", "errors", "file-access", "file-lock"];
const services = ["cart", "order-service", "http"];

/**
 * What each part of src may import besides itself. Whole imports: the services and main may use settings and telemetry; the
 * pure and the reusable parts below are given values and functions, and know of both at most their types.
 */
const mayImport: Record<string, readonly string[]> = {
  clock: [],
  random: [],
  errors: [],
  "file-access": [],
  "file-lock": [],
  orders: bottom,
  log: bottom,
  partitions: ["log", ...bottom],
  config: bottom,
  telemetry: ["config", ...bottom],
  http: ["config", "telemetry", "log", "partitions", ...bottom],
  api: ["http", "partitions", "log", "orders", ...bottom],
  cart: ["api", "http", "config", "telemetry", "partitions", "log", "orders", ...bottom],
  "order-service": ["api", "http", "config", "telemetry", "partitions", "log", "orders", ...bottom],
  start: ["errors", "file-access"],
  operations: ["start", "config", "telemetry", "log", "orders", ...bottom],
  audit: ["start", "config", "telemetry", "log", "orders", ...bottom],
  healthcheck: ["start", "config"],
  main: ["start", "config", "telemetry", "partitions", "log", "orders", ...services, ...bottom],
};
const mayImportTypes: Record<string, readonly string[]> = {
  log: ["config", "telemetry"],
  partitions: ["config", "telemetry"],
  config: ["log"],
};

const lines_max = 330;

/** The first folder under src, or the file's name without its ending. */
const partOf = (path: string) => path.split("/")[1]!.replace(/\.ts$/, "");

const importPattern =
  /^\s*(?:import|export)\s+(?<type>type\s)?(?:[^"';]*?\sfrom\s+)?"(?<from>\.[^"]+)"|\bimport\(\s*"(?<lazy>\.[^"]+)"\s*\)/gm;

const dependenciesPointOneWay: Rule = (tree) =>
  [...tree].flatMap(([path, text]) => {
    const part = partOf(path);
    const allowed = mayImport[part];
    if (!allowed) return [`${path}: "${part}" is a new part of src; say in this test what it may import.`];
    return [...text.matchAll(importPattern)].flatMap((match) => {
      const target = posix.join(posix.dirname(path), (match.groups?.["from"] ?? match.groups?.["lazy"])!);
      const targetPart = partOf(target);
      if (targetPart === part || allowed.includes(targetPart)) return [];
      if (match.groups?.["type"] && mayImportTypes[part]?.includes(targetPart)) return [];
      return [`${path} imports ${target}: ${part} must not depend on ${targetPart}.`];
    });
  });

const filesAreShort: Rule = (tree) =>
  [...tree].flatMap(([path, text]) => {
    const lines = text.split("\n").length - 1;
    return lines > lines_max ? [`${path} has ${lines} lines, more than ${lines_max}: split it where its ideas part.`] : [];
  });

const namesSayWhatIsInside: Rule = (tree) =>
  [...tree.keys()]
    .filter((path) => path.split("/").some((name) => /^(utils?|helpers?|common|misc)(\.ts)?$/.test(name) || name === "index.ts"))
    .map((path) => `${path}: no barrels, and no drawer for everything; name it by what is inside.`);

const mayAskTheWorld = [
  "src/main.ts",
  "src/operations/main.ts",
  "src/audit/main.ts",
  "src/order-service/page/main.ts",
  "src/clock.ts",
];
const worldPattern = /\bDate\.now\b|\bperformance\b|\bnew Date\b(?:\(\)|(?!\s*\())|\bMath\.random\b|\brandomUUID\b/g;
const typescript = new Bun.Transpiler({ loader: "ts" });

const timeAndChanceComeIn: Rule = (tree) =>
  [...tree]
    .filter(([path]) => !mayAskTheWorld.includes(path))
    .flatMap(([path, text]) => {
      // What the transpiler leaves has no comments.
      const found = typescript.transformSync(text).match(worldPattern) ?? [];
      return found.map((use) => `${path} uses ${use}: take a Clock, a Random or a NewUuid as a parameter.`);
    });

/** OpenTelemetry takes 25 MB of memory and 0.1 s to load, so it is, with the one file that imports it, only where it is asked for. */
const TRACING = "src/telemetry/tracing.ts";
const tracingPattern = /^\s*(?:import|export)\s+(?!type\s)(?:[^"';]*?\sfrom\s+)?"(?:@opentelemetry\/[^"]+|[^"]*\/tracing\.ts)"/gm;

const tracingIsLoadedWhenAskedFor: Rule = (tree) =>
  [...tree]
    .filter(([path]) => path !== TRACING)
    .flatMap(([path, text]) =>
      [...text.matchAll(tracingPattern)].map(([statement]) => `${path}: ${statement.trim()}; use import() or import type.`),
    );

const one = (path: string, text: string): Tree => new Map([[path, text]]);

const rules: { name: string; rule: Rule; breaks: Tree[]; keeps: Tree[] }[] = [
  {
    name: "dependencies point one way",
    rule: dependenciesPointOneWay,
    breaks: [
      one("src/orders/order.ts", `import { decode } from "../log/log.ts";`),
      one("src/orders/order.ts", `import type { Config } from "../config.ts";`),
      one("src/log/kafka/reader.ts", `import { a } from "../log.ts";\nimport {\n  b,\n  c,\n} from "../../telemetry/logger.ts";`),
      one("src/partitions/actor.ts", `const money = await import("../orders/money.ts");`),
      one("src/partitions/actor.ts", `export * from "../cart/app.ts";`),
      one("src/partitions/actor.ts", `import "../main.ts";`),
      one("src/cart/app.ts", `import { query } from "../order-service/queries.ts";`),
      one("src/clock.ts", `import { fail } from "./errors.ts";`),
      one("src/shiny/new.ts", ""),
    ],
    keeps: [
      one("src/orders/order.ts", `import { money } from "./money.ts";\nimport type { Clock } from "../clock.ts";`),
      one("src/log/kafka/reader.ts", `import type { Config } from "../../config.ts";`),
      one("src/main.ts", `import { app } from "./cart/app.ts";`),
    ],
  },
  {
    name: `no file is longer than ${lines_max} lines`,
    rule: filesAreShort,
    breaks: [one("src/orders/order.ts", "\n".repeat(lines_max + 1))],
    keeps: [one("src/orders/order.ts", "\n".repeat(lines_max))],
  },
  {
    name: "no utils, no barrels",
    rule: namesSayWhatIsInside,
    breaks: [
      one("src/utils/a.ts", ""),
      one("src/orders/util.ts", ""),
      one("src/orders/index.ts", ""),
      one("src/log/helpers.ts", ""),
    ],
    keeps: [one("src/partitions/order-index.ts", ""), one("src/cart/utilisation.ts", "")],
  },
  {
    name: "tracing is loaded when it is asked for",
    rule: tracingIsLoadedWhenAskedFor,
    breaks: [
      one("src/main.ts", `import { Tracing } from "./telemetry/tracing.ts";`),
      one("src/cart/app.ts", `import {\n  trace,\n} from "@opentelemetry/api";`),
      one("src/cart/app.ts", `import "@opentelemetry/sdk-trace";`),
    ],
    keeps: [
      one("src/main.ts", `import type { Tracing } from "./telemetry/tracing.ts";`),
      one("src/main.ts", `const { Tracing } = await import("./telemetry/tracing.ts");`),
      one(TRACING, `import { trace } from "@opentelemetry/api";`),
    ],
  },
  {
    name: "time, randomness and ids come in as parameters",
    rule: timeAndChanceComeIn,
    breaks: [
      one("src/orders/order.ts", "export const at = Date.now();"),
      one("src/orders/order.ts", "export const at = performance.now();"),
      one("src/orders/order.ts", "export const at = new Date();"),
      one("src/orders/order.ts", "export const at = new Date;"),
      one("src/cart/app.ts", "export const n = Math.random();"),
      one("src/cart/app.ts", "export const newId = crypto.randomUUID;"),
      one("src/cart/app.ts", `import { randomUUID } from "node:crypto";\nexport const id = randomUUID();`),
    ],
    keeps: [
      one("src/orders/order.ts", "export const at = new DateTime();"),
      one(
        "src/orders/order.ts",
        "// Date.now() is not asked here.\n/* nor Math.random() */\nexport const at = (ms: number) => new Date(ms);",
      ),
      one("src/clock.ts", "export const now = () => Date.now();"),
      one("src/main.ts", "export const newId = () => crypto.randomUUID();"),
    ],
  },
];

describe("architecture", () => {
  const root = join(import.meta.dir, "../..");
  const paths = [...new Bun.Glob("src/**/*.ts").scanSync(root)].toSorted();
  const source: Tree = new Map(paths.map((path) => [path, readFileSync(join(root, path), "utf8")]));

  test("there is source to look at", () => {
    expect(source.has("src/errors.ts")).toBe(true);
  });

  for (const { name, rule, breaks, keeps } of rules) {
    test(`${name}: the rule finds what breaks it`, () => {
      for (const tree of breaks)
        expect({ tree: [...tree], broken: rule(tree).length > 0 }).toEqual({ tree: [...tree], broken: true });
      for (const tree of keeps) expect(rule(tree)).toEqual([]);
    });
    test(name, () => {
      expect(rule(source)).toEqual([]);
    });
  }
});
