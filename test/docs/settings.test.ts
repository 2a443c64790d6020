import { describe, expect, test } from "bun:test";
import { settingsTable } from "../../src/config/settings.ts";
import { errorCatalogue } from "../../src/errors.ts";
import { root, textOf } from "./markdown.ts";
import { SETTINGS_PAGE, settingsPage } from "./settings-page.ts";

test(`${SETTINGS_PAGE} is what the table says; renew it by: bun run settings`, () => {
  expect(textOf(SETTINGS_PAGE) === settingsPage()).toBe(true);
});

/** Variables that the services and their tools do not read, by who reads them. */
const others = {
  "Docker Compose, in the files here": [
    "CONSOLE_PORT",
    "ORDER_PROCESSING_IMAGE",
    "PUBLISH_ADDRESS",
    "REDPANDA_PORT",
    "REDPANDA_1_PORT",
    "REDPANDA_2_PORT",
  ],
  "Redpanda Console": ["REDPANDA_ADMINAPI_ENABLED", "REDPANDA_ADMINAPI_URLS"],
  "the pipelines": [
    "HEADERS_INEXACT",
    "REPLAY_FROM",
    "REPLAY_ID",
    "REPLAY_ORDERS",
    "REPLAY_RATE",
    "REPLAY_TARGET",
    "REPLAY_TO",
    "REPLAY_TOPIC",
    "REPLAY_TYPES",
  ],
};
/** Words in capitals that are not variables: error codes, a right, events, and an example of a mistyped setting. */
const words = [...Object.keys(errorCatalogue), "DESCRIBE_CONFIGS", "ORDER_CREATED", "ORDER_STATUS_UPDATED", "KAFKA_BROKER"];
/** A default in a Compose file that differs from the program's on purpose. */
const otherDefaults = { "deploy/compose.three-brokers.yaml": { TOPIC_REPLICATION: "3" } } as Record<string, object>;

const unit_ms = { ms: 1, s: 1_000, min: 60_000 } as const;
const table = new Map<string, unknown>(settingsTable.map(([name, setting]) => [name, setting.default]));
const known = [...table.keys(), ...Object.values(others).flat(), ...words];

/**
 * Names in capitals of several words, and of the single words only those that are settings, since RFC and HTTP are
 * none.
 */
const variablesIn = (text: string): Set<string> =>
  new Set([...text.matchAll(/(?<![\w.<-])(?:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|HOST|PARTITIONER)(?![\w-])/g)].map(([name]) => name));

/** Defaults that a file states: `${NAME:-x}` in Compose, `NAME` (x) in prose. */
const defaultsIn = (text: string): [name: string, told: string][] => [
  ...[...text.matchAll(/\$\{([A-Z_0-9]+):-([^${}]+)\}/g)].map(([, name, told]): [string, string] => [name!, told!]),
  ...[...text.matchAll(/`([A-Z_0-9]+)` \(`?([\d.]+)(?: (ms|s|min))?`?[,)]/g)].map(([, name, told, unit]): [string, string] => [
    name!,
    String(Number(told) * (unit === undefined ? 1 : unit_ms[unit as keyof typeof unit_ms])),
  ]),
];

test("what others read is no setting of ours", () => {
  expect(
    Object.values(others)
      .flat()
      .filter((name) => table.has(name)),
  ).toEqual([]);
});

describe("files that name settings", () => {
  const files = [
    "README.md",
    "compose.yaml",
    "deploy/Dockerfile",
    ...new Bun.Glob("deploy/**/*.{yaml,md,cfg}").scanSync(root),
    ...[...new Bun.Glob("docs/*.md").scanSync(root)].filter((path) => path !== SETTINGS_PAGE),
  ].toSorted();

  test("the checks find a variable that there is not and a default that is another", () => {
    expect([...variablesIn("`KAFKA_BROKRES`, $DATA_DIR, HTTP, HOST=x")]).toEqual(["KAFKA_BROKRES", "DATA_DIR", "HOST"]);
    expect(defaultsIn("${CART_PORT:-8000} `READ_WAIT_MS_MAX` (2 s) `TOPIC_PARTITIONS` (12)")).toEqual([
      ["CART_PORT", "8000"],
      ["READ_WAIT_MS_MAX", "2000"],
      ["TOPIC_PARTITIONS", "12"],
    ]);
  });

  test.each(files)("%s names no variable that there is not", (file) => {
    expect([...variablesIn(textOf(file))].filter((name) => !known.includes(name))).toEqual([]);
  });

  test.each(files)("%s tells no default that is another", (file) => {
    const own = Object.entries(otherDefaults[file] ?? {});
    const told = defaultsIn(textOf(file)).filter(([name]) => table.has(name));
    const wrong = told.filter(([name, value]) => String(table.get(name)) !== value);
    expect(wrong.filter(([name, value]) => !own.some(([o, v]) => o === name && v === value))).toEqual([]);
  });
});
