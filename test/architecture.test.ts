import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { constructorsStartNothing } from "./architecture/constructors.ts";
import { mayImport, mayImportTypes, partOf } from "./architecture/parts.ts";
import type { Rule, Tree } from "./architecture/rule.ts";

/**
 * The rules about the source that no compiler checks. Before the real tree is held to a rule, the rule is shown to
 * find what it looks for in a small tree made up for it.
 */
const lines_max = 330;
const files_max = 15;

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

const foldersAreSmall: Rule = (tree) =>
  [...Map.groupBy(tree.keys(), (path) => posix.dirname(path))]
    .filter(([, paths]) => paths.length > files_max)
    .map(
      ([folder, paths]) => `${folder} holds ${paths.length} files, more than ${files_max}: it answers more than one question.`,
    );

const namesSayWhatIsInside: Rule = (tree) =>
  [...tree.keys()]
    .filter((path) => path.split("/").some((name) => /^(utils?|helpers?|common|misc)(\.ts)?$/.test(name) || name === "index.ts"))
    .map((path) => `${path}: no barrels, and no drawer for everything; name it by what is inside.`);

const mayAskTheWorld = [
  "src/main.ts",
  "src/tools/main.ts",
  "src/tools/audit/main.ts",
  "src/tools/snapshot/main.ts",
  "src/services/orders/page/main.ts",
  "src/system/clock.ts",
];
const worldPattern = /\bDate\.now\b|\bperformance\b|\bnew Date\b(?:\(\)|(?!\s*\())|\bMath\.random\b|\brandomUUID\b/g;
const typescript = new Bun.Transpiler({ loader: "ts" });

const timeAndChanceComeIn: Rule = (tree) =>
  [...tree]
    .filter(([path]) => !mayAskTheWorld.includes(path))
    .flatMap(([path, text]) => {
      // The transpiler's output has no comments. A macro can be called only where its module can be found.
      const found = typescript.transformSync(text.replaceAll('with { type: "macro" }', "")).match(worldPattern) ?? [];
      return found.map((use) => `${path} uses ${use}: take a Clock, a Random or a NewUuid as a parameter.`);
    });

/**
 * OpenTelemetry takes 25 MB of memory and 0.1 s to load, so it and the one file that imports it are loaded only when
 * tracing is asked for.
 */
const TRACING = "src/telemetry/tracing.ts";
const tracingPattern = /^\s*(?:import|export)\s+(?!type\s)(?:[^"';]*?\sfrom\s+)?"(?:@opentelemetry\/[^"]+|[^"]*\/tracing\.ts)"/gm;

const tracingIsLoadedWhenAskedFor: Rule = (tree) =>
  [...tree]
    .filter(([path]) => path !== TRACING)
    .flatMap(([path, text]) =>
      [...text.matchAll(tracingPattern)].map(([statement]) => `${path}: ${statement.trim()}; use import() or import type.`),
    );

/**
 * The first file removes private parts of kafkajs, to see that their absence is noticed; the second is this file, with
 * its examples.
 */
const mayChangePrototypes = ["test/log/kafka/kafkajs-seam.test.ts", "test/architecture.test.ts"];
const prototypePattern =
  /\bprototype(?:\.\w+|\[[^\]]+\])\s*=(?!=)|\bdefineProperty\([^,]*\bprototype\b|\bassign\([^,]*\bprototype\b|=\s*[\w.]+\.prototype\b(?!\.)/g;

/** A test passes in whatever is to fail, for example through the port of `runtime/store/store-database.ts`. */
const noPrototypeIsPatched: Rule = (tree) =>
  [...tree]
    .filter(([path]) => !mayChangePrototypes.includes(path))
    .flatMap(([path, text]) =>
      [...(typescript.transformSync(text).match(prototypePattern) ?? [])].map(
        (use) => `${path} patches a prototype (${use}): pass in what fails.`,
      ),
    );

const one = (path: string, text: string): Tree => new Map([[path, text]]);

interface RuleShown {
  readonly name: string;
  readonly rule: Rule;
  readonly breaks: readonly Tree[];
  readonly keeps: readonly Tree[];
}

const rules: RuleShown[] = [
  {
    name: "dependencies point one way",
    rule: dependenciesPointOneWay,
    breaks: [
      one("src/orders/order.ts", `import { decode } from "../log/port.ts";`),
      one("src/orders/order.ts", `import type { Config } from "../config/config.ts";`),
      one("src/log/kafka/log.ts", `import { a } from "../port.ts";\nimport {\n  b,\n  c,\n} from "../../telemetry/logger.ts";`),
      one("src/log/append/appender.ts", `import { KafkaLog } from "../kafka/kafka-log.ts";`),
      one("src/runtime/actor/actor.ts", `const money = await import("../../orders/money.ts");`),
      one("src/runtime/partition-set.ts", `export * from "../services/cart/app.ts";`),
      one("src/runtime/partition-set.ts", `import "../main.ts";`),
      one("src/services/cart/app.ts", `import { cartRole } from "../../compose/cart.ts";`),
      one("src/main.ts", `import { CartService } from "./services/cart/service.ts";`),
      one("src/services/cart/app.ts", `import { query } from "../orders/query/queries.ts";`),
      one("src/errors.ts", `import { systemClock } from "./system/clock.ts";`),
      one("src/shiny/new.ts", ""),
      one("src/services/shiny/new.ts", ""),
      one("src/log/shiny/new-log.ts", ""),
      one("src/log/shiny/deep/new-log.ts", ""),
      one("src/log/open-log.ts", `import { ShinyLog } from "./shiny/shiny-log.ts";`),
    ],
    keeps: [
      one("src/orders/order.ts", `import { money } from "./money.ts";\nimport type { Clock } from "../system/clock.ts";`),
      one("src/log/kafka/read/reader.ts", `import type { Config } from "../../../config/config.ts";`),
      one("src/main.ts", `import { cartRole } from "./compose/cart.ts";`),
      one("src/compose/cart.ts", `import { app } from "../services/cart/app.ts";`),
      one("src/log/kafka/read/deep/reader.ts", ""),
      one("src/runtime/shiny/new.ts", `import { PartitionSet } from "../partition-set.ts";`),
    ],
  },
  {
    name: `no file is longer than ${lines_max} lines`,
    rule: filesAreShort,
    breaks: [one("src/orders/order.ts", "\n".repeat(lines_max + 1))],
    keeps: [one("src/orders/order.ts", "\n".repeat(lines_max))],
  },
  {
    name: `no folder holds more than ${files_max} files`,
    rule: foldersAreSmall,
    breaks: [new Map(Array.from({ length: files_max + 1 }, (_, n) => [`src/orders/n${n}.ts`, ""]))],
    keeps: [new Map(Array.from({ length: files_max + 1 }, (_, n) => [`src/${n === 0 ? "orders" : "log"}/n${n}.ts`, ""]))],
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
    keeps: [one("src/runtime/order-index.ts", ""), one("src/services/cart/utilisation.ts", "")],
  },
  {
    name: "tracing is loaded when it is asked for",
    rule: tracingIsLoadedWhenAskedFor,
    breaks: [
      one("src/main.ts", `import { Tracing } from "./telemetry/tracing.ts";`),
      one("src/services/cart/app.ts", `import {\n  trace,\n} from "@opentelemetry/api";`),
      one("src/services/cart/app.ts", `import "@opentelemetry/sdk-trace";`),
    ],
    keeps: [
      one("src/main.ts", `import type { Tracing } from "./telemetry/tracing.ts";`),
      one("src/main.ts", `const { Tracing } = await import("./telemetry/tracing.ts");`),
      one(TRACING, `import { trace } from "@opentelemetry/api";`),
    ],
  },
  {
    name: "constructors start nothing",
    rule: constructorsStartNothing,
    breaks: [
      one("src/a.ts", "class A { #running; constructor() { this.#running = this.#run(); } async #run() {} }"),
      one("src/a.ts", "class A {\n  readonly #running: Promise<void> = this.#run();\n  async #run() {}\n}"),
      one("src/a.ts", "class A { constructor(private readonly a: { b: number }) { void this.#run(); } #run() { return go(); } }"),
      one("src/a.ts", "class A { constructor() { const f = () => { g(); }; setInterval(f, 1); } }"),
      one("src/a.ts", "class A { constructor(log: Log) { this.member = log.joinGroup({ lost: () => this.end() }); } }"),
      one("src/a.ts", "class A { constructor(private readonly b: B) { b.start(); } }"),
      one("src/a.ts", "class A { constructor(clock: Clock) { this.a = clock.sleep(1).then(() => this.b()); } }"),
    ],
    keeps: [
      one("src/a.ts", "class A { #running; constructor() {} start() { this.#running = this.#run(); } async #run() {} }"),
      one(
        "src/a.ts",
        "class A { constructor() { this.run = () => this.#run(); this.ask = { at: () => { void this.#run(); } }; } async #run() {} }",
      ),
      one("src/a.ts", "class A {\n  #first = this.#next();\n  constructor() { this.#first += 1; } #next() { return 1; } }"),
      one("src/a.ts", "class A {\n  go = () => this.#run();\n  async #run() { const x = this.#run(); } }"),
      one("src/a.ts", "class A {\n  #timer: Timer | undefined;\n  start() {\n    const timer = setInterval(look, 1);\n  }\n}"),
      one("src/a.ts", "export const start = () => { setInterval(look, 1); void this.look(); };"),
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
      one("src/services/cart/app.ts", "export const n = Math.random();"),
      one("src/services/cart/app.ts", "export const newId = crypto.randomUUID;"),
      one("src/services/cart/app.ts", `import { randomUUID } from "node:crypto";\nexport const id = randomUUID();`),
    ],
    keeps: [
      one("src/orders/order.ts", "export const at = new DateTime();"),
      one(
        "src/orders/order.ts",
        "// Date.now() is not asked here.\n/* nor Math.random() */\nexport const at = (ms: number) => new Date(ms);",
      ),
      one("src/system/clock.ts", "export const now = () => Date.now();"),
      one("src/main.ts", "export const newId = () => crypto.randomUUID();"),
    ],
  },
];

const rulesOfTests: RuleShown[] = [
  {
    name: `no test file is longer than ${lines_max} lines`,
    rule: filesAreShort,
    breaks: [one("test/orders/fold.test.ts", "\n".repeat(lines_max + 1))],
    keeps: [one("test/orders/fold.test.ts", "\n".repeat(lines_max))],
  },
  {
    name: "no test patches a prototype",
    rule: noPrototypeIsPatched,
    breaks: [
      one("test/a.test.ts", "PartitionStore.prototype.commit = () => undefined;"),
      one("test/a.test.ts", "(Database.prototype as { close: unknown }).close = null;\nDatabase.prototype['run'] = run;"),
      one("test/a.test.ts", "Object.defineProperty(Database.prototype, 'filename', { value: '' });"),
      one("test/a.test.ts", "const prototype = PartitionStore.prototype as { commit: unknown };\nexport { prototype };"),
    ],
    keeps: [
      one("test/a.test.ts", "expect(Object.prototype.toString.call([])).toBe('[object Array]');"),
      one("test/a.test.ts", "// Database.prototype.close = 1;\nObject.setPrototypeOf(bytes, Buffer.prototype);"),
    ],
  },
];

describe("architecture", () => {
  const root = join(import.meta.dir, "..");
  const treeOf = (pattern: string): Tree => {
    const paths = [...new Bun.Glob(pattern).scanSync(root)].toSorted();
    return new Map(paths.map((path) => [path, readFileSync(join(root, path), "utf8")]));
  };
  const source = treeOf("src/**/*.ts");
  const tests = treeOf("test/**/*.ts");

  test("there is source to look at", () => {
    expect(source.has("src/errors.ts")).toBe(true);
    expect(tests.has("test/architecture.test.ts")).toBe(true);
  });

  const held = [...rules.map((rule) => ({ ...rule, real: source })), ...rulesOfTests.map((rule) => ({ ...rule, real: tests }))];
  for (const { name, rule, breaks, keeps, real } of held) {
    test(`${name}: the rule finds what breaks it`, () => {
      for (const tree of breaks)
        expect({ tree: [...tree], broken: rule(tree).length > 0 }).toEqual({ tree: [...tree], broken: true });
      for (const tree of keeps) expect(rule(tree)).toEqual([]);
    });
    test(name, () => {
      expect(rule(real)).toEqual([]);
    });
  }
});
