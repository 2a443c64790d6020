import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  DEAD_LETTER_EXTRA_HEADERS,
  DEAD_LETTER_HEADERS,
  PARKED_HEADERS,
  REDRIVE_HEADERS,
  REPLAY_HEADERS,
} from "../../src/log/record-headers.ts";

const directory = join(import.meta.dir, "../../pipelines");
const pipelines = readdirSync(directory)
  .filter((name) => /^[a-z]+\.yaml$/.test(name))
  .toSorted();
const text = (name: string) => readFileSync(join(directory, name), "utf8");

/** The lines `#   NAME   default   meaning` of the head comment, with the default in columns 28 to 43. */
function documented(pipeline: string): Map<string, string> {
  const head = /^(?:#.*\n)+/.exec(pipeline)?.[0] ?? "";
  return new Map([...head.matchAll(/^# {3}([A-Z_]{3,}) +(.*)$/gm)].map(([line, name]) => [name!, line.slice(27, 43).trim()]));
}

/** Every default that a variable has where it is used; undefined where it has none. */
function used(pipeline: string): Map<string, Set<string | undefined>> {
  const uses = new Map<string, Set<string | undefined>>();
  const add = (name: string, fallback: string | undefined) => uses.set(name, (uses.get(name) ?? new Set()).add(fallback));
  const body = pipeline.replaceAll(/^ *#.*$/gm, "");
  for (const [, name, fallback] of body.matchAll(/\$\{([A-Z_]+)(?::([^}]*))?\}/g)) add(name!, fallback);
  for (const [, name, fallback] of body.matchAll(/\benv\("([A-Z_]+)"\)(?:\.or\("([^"]*)"\))?/g)) add(name!, fallback);
  return uses;
}

interface Config {
  readonly http: { readonly address: string };
  readonly input: Record<string, Record<string, unknown>>;
  readonly pipeline: { readonly processors: Record<string, unknown>[] };
  readonly output: { readonly redpanda?: object; readonly fallback?: readonly { readonly redpanda?: object }[] };
  readonly metrics: object;
}

test("there are four pipelines, and the README has a section on each", () => {
  expect(pipelines).toEqual(["archive.yaml", "redrive.yaml", "replay.yaml", "restore.yaml"]);
  for (const name of pipelines) expect(text("README.md")).toContain(`## ${name}`);
});

test("the rule about variables finds one that is not documented, one without a default, and two defaults", () => {
  const pipeline =
    "#   A_NAME                 1               meaning\n#   B_NAME                                 meaning\nx: ${A_NAME:2}${C_NAME}";
  expect(documented(pipeline)).toEqual(
    new Map([
      ["A_NAME", "1"],
      ["B_NAME", ""],
    ]),
  );
  expect(used(`${pipeline}\ny: env("A_NAME").or("1") env("D_NAME")`)).toEqual(
    new Map<string, Set<string | undefined>>([
      ["A_NAME", new Set(["2", "1"])],
      ["C_NAME", new Set([undefined])],
      ["D_NAME", new Set([undefined])],
    ]),
  );
});

describe.each(pipelines)("%s", (name) => {
  const config = Bun.YAML.parse(text(name)) as Config;

  test("every variable is documented, with the default it has wherever it is used", () => {
    const says = [...documented(text(name))].map(([variable, fallback]) => [variable, new Set([fallback])] as const);
    expect(used(text(name))).toEqual(new Map<string, Set<string | undefined>>(says));
  });

  test("has its config tests beside it", () => {
    expect(existsSync(join(directory, name.replace(".yaml", "_benthos_test.yaml")))).toBe(true);
  });

  test("serves health and metrics on loopback alone", () => {
    expect(config.http.address).toStartWith("127.0.0.1:");
    expect(config.metrics).toEqual({ prometheus: {} });
  });

  test("reads committed records, and writes them with the acknowledgement of all replicas, in order, without names of its own", () => {
    const { redpanda: from } = config.input;
    if (from) expect(from).toMatchObject({ transaction_isolation_level: "read_committed" });
    const to = config.output.redpanda ?? config.output.fallback?.[0]?.redpanda;
    if (!to) return;
    expect(to).toMatchObject({ acks: "all", idempotent_write: true, partitioner: "manual", allow_auto_topic_creation: false });
    expect(to).toHaveProperty("metadata", { include_patterns: ["^([^!]|$)"] });
  });

  test("ends rather than write a record that went wrong", () => {
    const crash = config.pipeline.processors.findIndex((one) => JSON.stringify(one).includes('"check":"errored()"'));
    const mappings = config.pipeline.processors.findLastIndex((one) => "label" in one);
    expect(crash).toBe(mappings + 1);
    expect(JSON.stringify(config.pipeline.processors[crash])).toContain('"crash":');
  });
});

test("replay and redrive name the headers that this program names, each of them and no other", () => {
  const named = (name: string) => [...new Set(text(name).match(/(?<=@?")x-[a-z-]+[a-z](?=")/g))].toSorted();
  const all = (...groups: object[]) => groups.flatMap((group) => Object.values(group) as string[]).toSorted();
  expect(named("replay.yaml")).toEqual(all(REPLAY_HEADERS));
  expect(named("redrive.yaml")).toEqual(all(DEAD_LETTER_HEADERS, DEAD_LETTER_EXTRA_HEADERS, REDRIVE_HEADERS, PARKED_HEADERS));
});

test("all pipelines have the same connection", () => {
  const connection = /^( +)seed_brokers:.*\n(?:\1(?:tls|sasl):\n(?:\1  .*\n)+)+/gm;
  const all = pipelines.flatMap((name) => [...text(name).matchAll(connection)]);
  expect(all).toHaveLength(6);
  expect(new Set(all.map(([lines]) => lines.replaceAll(/^ +/gm, "")))).toHaveProperty("size", 1);
});
