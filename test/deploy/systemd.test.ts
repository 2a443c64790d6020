import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readConfig } from "../../src/config/config.ts";
import { settingsTable } from "../../src/config/settings.ts";
import { STOP_MARGIN_MS } from "../../src/members/run-members.ts";
import { EXIT_USAGE } from "../../src/system/exit-code.ts";
import { bunSettings } from "../support/programs/processes.ts";
import { repository } from "../support/programs/repository.ts";
import { runBounded } from "../support/programs/tied-process.ts";
import { tempDir } from "../support/stores/temp-dir.ts";

const folder = join(repository, "deploy/systemd");
const units = readdirSync(folder).filter((name) => name.endsWith(".service"));
const textOf = (name: string) => readFileSync(join(folder, name), "utf8");
const BUN = "/usr/local/bin/bun";

const isThere = Bun.which("systemd-analyze") !== null;
if (!isThere)
  console.warn("\n!!! SKIPPED, THIS IS NOT PROVED HERE: systemd itself reads the units: systemd-analyze is not on PATH.\n");

/** What systemd-analyze says of a unit, which names this Bun in place of the one that is to be installed. */
async function analyze(verb: readonly string[], name: string, text: string): Promise<string> {
  await using directory = await tempDir();
  const path = join(directory.path, name);
  writeFileSync(path, text.replace(BUN, process.execPath));
  return (await runBounded(["systemd-analyze", ...verb, path], 20_000, { ...process.env, SYSTEMD_COLORS: "0" })).output;
}

/** The values of a key, in order. */
const valuesOf = (text: string, key: string): string[] =>
  [...text.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value]) => value!);

const unitFiles = ["order-processing-cart.service", "order-processing-orders.service", "order-processing-orders@.service"];
test("there is a unit for each service, and one for several order services", () => {
  expect(units.toSorted()).toEqual(unitFiles);
});

describe.skipIf(!isThere)("systemd", () => {
  test("finds a key and a value that it does not know", async () => {
    const text = textOf(units[0]!);
    expect(await analyze(["verify"], units[0]!, text.replace("Restart=on", "Restrat=on"))).toContain("Unknown key");
    expect(await analyze(["verify"], units[0]!, text.replace("KillMode=mixed", "KillMode=mixd"))).toContain("mixd");
  }, 30_000);

  test.each(units)(
    "has nothing to say of %s",
    async (name) => {
      expect(await analyze(["verify"], name, textOf(name))).toBe("");
    },
    30_000,
  );

  test.each(units)(
    "%s is exposed little",
    async (name) => {
      const said = await analyze(["security", "--offline=yes", "--no-pager"], name, textOf(name));
      expect(Number(/exposure level for .*: ([\d.]+)/.exec(said)?.[1])).toBeLessThan(2);
    },
    30_000,
  );
});

describe.each(units)("%s", (name) => {
  const text = textOf(name);
  const given = Object.fromEntries(valuesOf(text, "Environment").map((one) => one.split("=") as [string, string]));

  test("sets what are settings, to values that they may have, and Bun as the scripts do", () => {
    const { BUN_JSC_forceRAMSize, ...settings } = given;
    expect({ BUN_JSC_forceRAMSize }).toEqual(bunSettings as never);
    const known: string[] = settingsTable.map(([setting]) => setting);
    expect(Object.keys(settings).filter((setting) => !known.includes(setting))).toEqual([]);
    const config = readConfig(
      Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, value.replace("%i", "8001")])),
    );
    expect(config.data_dir).toBe(`/var/lib/${valuesOf(text, "StateDirectory")[0]}`);
  });

  test("starts with the settings that the documents make, and not without them", () => {
    expect(readFileSync(join(repository, "deploy/README.md"), "utf8")).toContain(
      `install -m 0600 /dev/stdin ${valuesOf(text, "EnvironmentFile")[0]} <<`,
    );
  });

  test("starts a role that there is", () => {
    const [bun, program, role] = valuesOf(text, "ExecStart")[0]!.split(" ");
    expect([bun, program, role]).toEqual([BUN, "src/main.ts", name.includes("cart") ? "producer" : "consumer"]);
    expect(existsSync(join(repository, program!))).toBe(true);
  });

  test("is started again for everything but bad settings, and killed only after the longest stop", () => {
    expect(valuesOf(text, "RestartPreventExitStatus")).toEqual([String(EXIT_USAGE)]);
    const { bounds } = settingsTable.find(([setting]) => setting === "SHUTDOWN_WAIT_MS_MAX")![1];
    const stop_ms_max = Number(bounds.replace("0 to ", "")) + STOP_MARGIN_MS;
    expect(Number(valuesOf(text, "TimeoutStopSec")[0]) * 1_000).toBeGreaterThan(stop_ms_max);
  });
});

test("the user that the units name is made, and the setting of Linux is one", () => {
  const user = /^u (\S+) - /m.exec(readFileSync(join(folder, "order-processing.sysusers"), "utf8"))![1]!;
  for (const name of units) expect(valuesOf(textOf(name), "User")).toEqual([user]);
  const setting = /^(net\.\S+) = 1$/m.exec(readFileSync(join(folder, "order-processing.sysctl"), "utf8"))![1]!;
  if (existsSync("/proc/sys/net/ipv4/tcp_fin_timeout"))
    expect(existsSync(`/proc/sys/${setting.replaceAll(".", "/")}`)).toBe(true);
});
