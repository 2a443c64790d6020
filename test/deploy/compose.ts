import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * What `docker compose config` makes of Compose files, for the part of the specification that ours use: variables,
 * `extends`, and several files on top of each other
 * (https://github.com/compose-spec/compose-spec/blob/main/13-merge.md).
 */
export interface Project {
  readonly name: string;
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

export interface Service {
  readonly image: string;
  /** The path in `context` is absolute. */
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly profiles?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly command: readonly string[];
  /** A null value is passed on from the environment if it is set there. */
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
}

type Env = Readonly<Record<string, string>>;
type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Mapping = { [name: string]: Json };

/**
 * Reads the files, each merged over those before it, with only these variables set. Throws if a required one is not
 * set.
 */
export function readProject(files: readonly string[], env: Env = {}): Project {
  const merged = files.map((file) => readFile(file, env)).reduce((below, above) => merge(below, above, []) as Mapping);
  return merged as unknown as Project;
}

/** One file as it is written, before any merge. */
export function parseFile(file: string): Mapping {
  return Bun.YAML.parse(readFileSync(file, "utf8")) as Mapping;
}

function readFile(file: string, env: Env): Mapping {
  const content = interpolate(parseFile(file), env) as Mapping;
  for (const [name, service] of Object.entries(mapping(content["services"] ?? {}))) {
    mapping(content["services"]!)[name] = extended(mapping(service ?? {}), dirname(file), env);
  }
  return content;
}

function extended(service: Mapping, directory: string, env: Env): Mapping {
  const { extends: from, ...own } = service;
  if (own["build"] !== undefined) {
    const build = mapping(own["build"]);
    own["build"] = { ...build, context: join(directory, build["context"] as string) };
  }
  if (from === undefined) return own;
  const { file, service: name } = mapping(from) as { file: string; service: string };
  const base = mapping(readFile(join(directory, file), env)["services"]!)[name];
  if (!base) throw new Error(`${file} has no service ${name}.`);
  return merge(base, own, ["services", ""]) as Mapping;
}

/** For these keys the upper file's list replaces the lower one's; any other list is added to the lower one. */
const REPLACED = ["command", "entrypoint", "test"];

function merge(below: Json, above: Json, path: readonly string[]): Json {
  if (Array.isArray(below) && Array.isArray(above)) {
    return REPLACED.includes(path.at(-1)!) ? above : [...new Set([...below, ...above])];
  }
  if (!isMapping(below) || !isMapping(above)) return above;
  const merged: Mapping = { ...below };
  for (const [name, value] of Object.entries(above)) {
    merged[name] = name in below ? merge(below[name]!, value, [...path, name]) : value;
  }
  return merged;
}

function interpolate(value: Json, env: Env): Json {
  if (typeof value === "string") return substitute(value, env);
  if (Array.isArray(value)) return value.map((item) => interpolate(item, env));
  if (!isMapping(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, interpolate(item, env)]));
}

/** Fills in `${NAME}`, `${NAME:-default}` and `${NAME:?what must be set}`, also when nested; `$$` is a dollar sign. */
function substitute(text: string, env: Env): string {
  const variable = /\$(?:\$|\{(?<name>[A-Z_0-9]+)(?::(?<how>[-?])(?<rest>(?:[^{}$]|\$\{[^{}]*\})*))?\})/g;
  return text.replaceAll(variable, (...args) => {
    const { name, how, rest } = args.at(-1) as { name?: string; how?: string; rest?: string };
    if (name === undefined) return "$";
    const value = env[name];
    if (value) return value;
    if (how === "?") throw new Error(`${name} must be set: ${rest}`);
    return how === "-" ? substitute(rest!, env) : "";
  });
}

const isMapping = (value: Json | undefined): value is Mapping =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function mapping(value: Json): Mapping {
  if (!isMapping(value)) throw new Error(`This is no mapping: ${JSON.stringify(value)}`);
  return value;
}

/**
 * The directories and files of the machine that a service mounts, as [source, target, options]. Paths are relative to
 * the first file.
 */
export function bindMounts(service: Service): [string, string, string | undefined][] {
  return (service.volumes ?? [])
    .map((volume) => volume.split(":") as [string, string, string | undefined])
    .filter(([source]) => /^[./~]/.test(source));
}

/** The Compose specification's JSON schema, as shipped by dclint, a linter that keeps up with it. */
export function composeSchema(): object {
  const file = fileURLToPath(new URL("schemas/compose.schema.json", import.meta.resolve("dclint/package.json")));
  return JSON.parse(readFileSync(file, "utf8")) as object;
}
