import { readFileSync } from "node:fs";
import { contradictions } from "./contradictions.ts";
import { type LogConfig, logConfig } from "./log.ts";
import { isServiceLink, nearMisses } from "./near-misses.ts";
import { type Given, parseVariable, type ReadFile, type Setting, shown } from "./setting.ts";
import { type GatheredName, gatheredNames, type SettingName, settingsTable, type SettingValues } from "./settings.ts";
import { type SnapshotStorageConfig, snapshotStorageConfig } from "./storage.ts";
import { headerValues, type TracesConfig, tracesConfig } from "./traces.ts";
import { AppError, isAppError } from "../errors.ts";

/** The environment is read in this file and nowhere else. `settings.ts` has the table of what it may hold. */
export type Env = Readonly<Record<string, string | undefined>>;

/** What is derived from the settings. */
interface Derived {
  readonly log: LogConfig;
  readonly dead_letter_topic: string;
  /** Undefined: no snapshots are taken. */
  readonly snapshot_storage: SnapshotStorageConfig | undefined;
  /** Undefined: no traces are made. */
  readonly traces: TracesConfig | undefined;
  /** The values of all secret settings, which must not appear in any log line. */
  readonly secrets: readonly string[];
}

type SingleValues = Omit<SettingValues, Lowercase<GatheredName>>;

/** The checked settings, each under its name in lower case. */
export type Config = SingleValues & Derived;

const derived = (s: SettingValues, given: ReadonlyMap<SettingName, Given>): Derived => ({
  log: logConfig(s),
  dead_letter_topic: `${s.orders_topic}.dlq`,
  snapshot_storage: snapshotStorageConfig(s),
  traces: tracesConfig(s),
  secrets: [
    ...new Set([...secretsGiven(given), ...headerValues(s), ...(s.peer_token_file === undefined ? [] : [s.peer_token_file])]),
  ],
});

/**
 * Reads and checks the environment. An empty variable counts as unset. Throws a single CONFIG_INVALID that lists every
 * problem, one on a line. A secret's value is never part of it.
 */
export const readConfig = (variables: Env, readFile: ReadFile = (path) => readFileSync(path, "utf8")): Config => {
  const env = withoutDisabledTelemetry(variables);
  const problems = nearMisses(
    env,
    settingsTable.map(([name]) => name),
  );
  const given = new Map<SettingName, Given>();
  const invalid = new Set<SettingName>();
  for (const [name, setting] of settingsTable) {
    const value = parseVariable(env[name], setting);
    if (value === undefined) continue;
    given.set(name, value);
    const refusal = refusalOf(name, value, setting);
    if (refusal === undefined) continue;
    invalid.add(name);
    problems.push(refusal);
  }
  problems.push(...contradictions(given, invalid));
  const read: [SettingName, unknown][] = [];
  for (const [name, setting] of settingsTable) {
    if (invalid.has(name)) continue;
    try {
      read.push([name, setting.read(given.get(name), readFile)]);
    } catch (e) {
      if (!isAppError(e, "CONFIG_INVALID")) throw e;
      problems.push(`${name} is ${shown(given.get(name))}; ${e.message}`);
    }
  }
  if (problems.length > 0) {
    throw new AppError("CONFIG_INVALID", `The settings are invalid:\n${problems.map((p) => `  ${p}`).join("\n")}`, { problems });
  }
  const single = read.filter(([name]) => !gatheredNames.has(name));
  return { ...(byLowerCaseName(single) as SingleValues), ...derived(byLowerCaseName(read) as SettingValues, given) };
};

const byLowerCaseName = (read: readonly [SettingName, unknown][]): unknown =>
  Object.fromEntries(read.map(([name, value]) => [name.toLowerCase(), value]));

/** With OpenTelemetry turned off, its other variables are not checked: they may be meant for other programs. */
const withoutDisabledTelemetry = (env: Env): Env =>
  env["OTEL_SDK_DISABLED"]?.trim().toLowerCase() === "true"
    ? Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("OTEL_") || name === "OTEL_SDK_DISABLED"))
    : env;

/** The sentence that refuses a value; undefined if the value is fine. */
const refusalOf = (name: SettingName, given: Given, setting: Setting): string | undefined => {
  const flaw = setting.flaw(given);
  if (flaw === undefined) return undefined;
  const sentences = [`${name} is ${setting.secret ? "not usable" : shown(given)}; it must ${setting.must}.`, flaw];
  if (isServiceLink(String(given))) sentences.push(serviceLinkAdvice(name));
  return sentences.filter((sentence) => sentence !== "").join(" ");
};

const serviceLinkAdvice = (name: string): string =>
  `Kubernetes sets it so beside a service of that name: set ${name} in the pod's env, or enableServiceLinks: false in its spec.`;

const secretsGiven = (given: ReadonlyMap<SettingName, Given>): string[] =>
  settingsTable.flatMap(([name, { secret }]) => (secret && given.has(name) ? [String(given.get(name))] : []));
