import { posix } from "node:path";

export type Tree = ReadonlyMap<string, string>;
export type Rule = (tree: Tree) => string[];

const bottom = ["system", "errors"];
const log = ["log", "log/append", "log/read", "log/group"];
const logs = [...log, "log/open-log", "log/kafka", "log/sqlite"];

/**
 * The parts of src, and what each may import besides itself. Whole imports: the services and main may use settings and
 * telemetry; the pure and the reusable parts below are given values and functions, and know of both at most their
 * types.
 */
const mayImport: Record<string, readonly string[]> = {
  errors: [],
  system: ["errors"],
  orders: bottom,
  log: bottom,
  "log/append": ["log", ...bottom],
  "log/read": ["log", ...bottom],
  "log/group": ["log", ...bottom],
  "log/kafka": [...log, ...bottom],
  "log/sqlite": [...log, ...bottom],
  "log/open-log": [...logs, ...bottom],
  runtime: [...log, ...bottom],
  config: bottom,
  telemetry: ["config", "log", "orders", ...bottom],
  http: ["config", "telemetry", "log", "runtime", ...bottom],
  api: ["http", "runtime", "log", "orders", ...bottom],
  "services/cart": ["api", "http", "config", "telemetry", "runtime", ...log, "orders", ...bottom],
  "services/orders": ["api", "http", "config", "telemetry", "runtime", ...logs, "orders", ...bottom],
  tools: ["config", "telemetry", ...logs, "orders", ...bottom],
  healthcheck: ["system", "config"],
  compose: ["services/cart", "services/orders", "http", "config", "telemetry", "runtime", ...log, ...bottom],
  main: ["compose", "http", "config", "telemetry", "runtime", ...logs, ...bottom],
};
const mayImportTypes: Record<string, readonly string[]> = {
  log: ["config", "telemetry"],
  "log/append": ["config", "telemetry"],
  "log/kafka": ["config", "telemetry"],
  "log/open-log": ["config", "telemetry"],
  runtime: ["config", "telemetry"],
  api: ["telemetry"],
  config: ["log"],
};

export const lines_max = 330;
export const files_max = 15;

/**
 * The longest name of a part that the path begins with; of what is in none, the first folder under src or the file's
 * name.
 */
const partOf = (path: string): string => {
  const below = path.replace(/^src\//, "").replace(/\.ts$/, "");
  const names = below.split("/");
  for (let n = names.length; n > 0; n--) {
    const name = names.slice(0, n).join("/");
    if (name in mayImport) return name;
  }
  return names[0] ?? "";
};

const importPattern =
  /^\s*(?:import|export)\s+(?<type>type\s)?(?:[^"';]*?\sfrom\s+)?"(?<from>\.[^"]+)"|\bimport\(\s*"(?<lazy>\.[^"]+)"\s*\)/gm;

export const dependenciesPointOneWay: Rule = (tree) =>
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

export const filesAreShort: Rule = (tree) =>
  [...tree].flatMap(([path, text]) => {
    const lines = text.split("\n").length - 1;
    return lines > lines_max ? [`${path} has ${lines} lines, more than ${lines_max}: split it where its ideas part.`] : [];
  });

export const foldersAreSmall: Rule = (tree) =>
  [...Map.groupBy(tree.keys(), (path) => posix.dirname(path))]
    .filter(([, paths]) => paths.length > files_max)
    .map(
      ([folder, paths]) => `${folder} holds ${paths.length} files, more than ${files_max}: it answers more than one question.`,
    );

export const namesSayWhatIsInside: Rule = (tree) =>
  [...tree.keys()]
    .filter((path) => path.split("/").some((name) => /^(utils?|helpers?|common|misc)(\.ts)?$/.test(name) || name === "index.ts"))
    .map((path) => `${path}: no barrels, and no drawer for everything; name it by what is inside.`);

const mayAskTheWorld = [
  "src/main.ts",
  "src/tools/main.ts",
  "src/tools/audit/main.ts",
  "src/services/orders/page/main.ts",
  "src/system/clock.ts",
];
const worldPattern = /\bDate\.now\b|\bperformance\b|\bnew Date\b(?:\(\)|(?!\s*\())|\bMath\.random\b|\brandomUUID\b/g;
const typescript = new Bun.Transpiler({ loader: "ts" });

export const timeAndChanceComeIn: Rule = (tree) =>
  [...tree]
    .filter(([path]) => !mayAskTheWorld.includes(path))
    .flatMap(([path, text]) => {
      // What the transpiler leaves has no comments. A macro is only called where its module can be found.
      const found = typescript.transformSync(text.replaceAll('with { type: "macro" }', "")).match(worldPattern) ?? [];
      return found.map((use) => `${path} uses ${use}: take a Clock, a Random or a NewUuid as a parameter.`);
    });

/**
 * OpenTelemetry takes 25 MB of memory and 0.1 s to load, so it is, with the one file that imports it, only where it is
 * asked for.
 */
export const TRACING = "src/telemetry/tracing.ts";
const tracingPattern = /^\s*(?:import|export)\s+(?!type\s)(?:[^"';]*?\sfrom\s+)?"(?:@opentelemetry\/[^"]+|[^"]*\/tracing\.ts)"/gm;

export const tracingIsLoadedWhenAskedFor: Rule = (tree) =>
  [...tree]
    .filter(([path]) => path !== TRACING)
    .flatMap(([path, text]) =>
      [...text.matchAll(tracingPattern)].map(([statement]) => `${path}: ${statement.trim()}; use import() or import type.`),
    );

/**
 * The first takes private parts away from kafkajs, to see that their absence is noticed; the second has examples for
 * this rule.
 */
const mayChangePrototypes = ["test/log/kafka/kafkajs-seam.test.ts", "test/architecture.test.ts"];
const prototypePattern =
  /\bprototype(?:\.\w+|\[[^\]]+\])\s*=(?!=)|\bdefineProperty\([^,]*\bprototype\b|\bassign\([^,]*\bprototype\b|=\s*[\w.]+\.prototype\b(?!\.)/g;

/** What is to fail in a test is given to what is tested, as through the port of `runtime/store/store-database.ts`. */
export const noPrototypeIsPatched: Rule = (tree) =>
  [...tree]
    .filter(([path]) => !mayChangePrototypes.includes(path))
    .flatMap(([path, text]) =>
      [...(typescript.transformSync(text).match(prototypePattern) ?? [])].map(
        (use) => `${path} patches a prototype (${use}): pass in what fails.`,
      ),
    );

/** Where the bracket at `from` is closed. */
const closing = (code: string, from: number): number => {
  let depth = 0;
  for (let at = from; at < code.length; at++) {
    if ("([{".includes(code[at] as string)) depth++;
    if (")]}".includes(code[at] as string) && --depth === 0) return at;
  }
  return code.length;
};

/** Without the bodies of the functions in it, which run later. */
const withoutFunctions = (code: string): string => {
  let kept = "";
  for (let from = 0; ;) {
    const arrow = code.indexOf("=>", from);
    if (arrow < 0) return kept + code.slice(from);
    kept += code.slice(from, arrow);
    let at = arrow + 2;
    while (at < code.length && !",;)]}".includes(code[at] as string))
      at = "([{".includes(code[at] as string) ? closing(code, at) + 1 : at + 1;
    from = at;
  }
};

/** What runs while an object is made: the bodies of constructors, and the initial values of fields. */
const runWhileMaking = (code: string): string[] => {
  const bodies = [...code.matchAll(/\bconstructor\(/g)].map(({ index }) => {
    const body = code.indexOf("{", closing(code, index + "constructor".length));
    return code.slice(body, closing(code, body) + 1);
  });
  const fields = [...code.matchAll(/^ {2}(?:(?:private|readonly) )*#?\w+(?:: [^=]+)? = .*;$/gm)].map(([field]) => field);
  return [...bodies, ...fields].map(withoutFunctions);
};

/** A timer, a wait, a place in a group, something that is started, a promise that nobody waits for. */
const startPattern =
  /\bset(?:Interval|Timeout|Immediate)\(|\bqueueMicrotask\(|\bBun\.(?:serve|spawn)\(|\.(?:sleep|yield|joinGroup|start)\(|\bvoid [\w.#]+/g;

export const constructorsStartNothing: Rule = (tree) =>
  [...tree].flatMap(([path, text]) => {
    // Not what the transpiler leaves: it drops `void`, by which a promise that nobody waits for is known.
    const code = text.replace(/^\s*(?:\/\/|\/?\*).*$/gm, "");
    const asynchronous = [...code.matchAll(/\basync[ *]+(#?\w+)[(<]/g)].map(([, name]) => name as string);
    return runWhileMaking(code).flatMap((made) => {
      const calls = [...made.matchAll(/\bthis\.(#?\w+)\(/g)].filter(([, name]) => asynchronous.includes(name as string));
      const found = [...made.matchAll(startPattern), ...calls].map(([use]) => use);
      return found.map((use) => `${path}: ${use.trim()} runs while an object is made; move it to its start().`);
    });
  });
