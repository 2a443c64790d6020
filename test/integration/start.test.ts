import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { dirname, join } from "node:path";
import { systemClock } from "../../src/system/clock.ts";
import { openSqliteLog } from "../../src/log/sqlite/sqlite-log.ts";
import { createOrder, orderDetails } from "../support/http/http.ts";
import { freePort } from "../support/brokers/ports.ts";
import { startProgram } from "../support/programs/processes.ts";
import { spawnTied } from "../support/programs/tied-process.ts";
import { type TempDir, tempDir } from "../support/stores/temp-dir.ts";
import { repository } from "../support/programs/repository.ts";

const run_ms_max = 30_000;
const noBroker = { KAFKA_BROKERS: "127.0.0.1:1" };

const programs = {
  "the services": ["src/main.ts", "both"],
  "the cart": ["src/main.ts", "producer"],
  "the order service": ["src/main.ts", "consumer"],
  replay: ["src/tools/main.ts", "replay"],
  redrive: ["src/tools/main.ts", "redrive"],
  archive: ["src/tools/main.ts", "archive", "--dir", "/nowhere"],
  audit: ["src/tools/audit/main.ts"],
} as const;
type ProgramName = keyof typeof programs;
const names = Object.keys(programs) as ProgramName[];

/** Runs a program that is to end by itself; `before` is a shell command in front of it. */
async function run(args: readonly string[], env: Readonly<Record<string, string>>, before = ":") {
  const { PATH, HOME, TMPDIR } = process.env;
  const command = ["sh", "-c", `${before}; exec "$@"`, "sh", process.execPath, ...args];
  const own = { CART_PORT: "0", ORDER_PORT: "0", LOG_FORMAT: "json", ...env };
  const tied = spawnTied(command, { cwd: repository, env: { PATH, HOME, TMPDIR, ...own } });
  const timer = setTimeout(() => tied.kill("SIGKILL"), run_ms_max);
  const { code } = await tied.exited;
  clearTimeout(timer);
  return { code, output: tied.output().trim() };
}

/**
 * Expects one sentence that names the setting, exit code 2, nothing of the source, no listener and nobody else to
 * blame.
 */
async function expectRefused(name: ProgramName, env: Readonly<Record<string, string>>, setting: string, before?: string) {
  const { code, output } = await run(programs[name], env, before);
  expect({ name, code, output }).toEqual({ name, code: 2, output: expect.stringContaining(setting) });
  expect(output).not.toMatch(/^\s+at |\.ts:\d|listens on|broker|SQLITE/m);
  expect(output.split("\n").filter((line) => !line.startsWith("The settings are invalid:"))).toHaveLength(1);
}

describe("a data directory that cannot be used", () => {
  const made: [what: string, make: (dir: TempDir) => string][] = [
    [
      "is a file",
      (dir) => {
        writeFileSync(join(dir.path, "file"), "");
        return join(dir.path, "file");
      },
    ],
    [
      "lies below a file",
      (dir) => {
        writeFileSync(join(dir.path, "file"), "");
        return join(dir.path, "file", "data");
      },
    ],
    [
      "is a link to nowhere",
      (dir) => {
        symlinkSync(join(dir.path, "nowhere", "data"), join(dir.path, "link"));
        return join(dir.path, "link");
      },
    ],
    [
      "has a file where the state should be",
      (dir) => {
        writeFileSync(join(dir.path, "state"), "");
        return dir.path;
      },
    ],
  ];
  test.each(made)(
    "%s: a sentence about DATA_DIR, with the embedded log and with a broker",
    async (_, make) => {
      await using dir = await tempDir();
      const DATA_DIR = make(dir);
      await expectRefused("the services", { DATA_DIR }, "DATA_DIR cannot be used");
      await expectRefused("the services", { ...noBroker, DATA_DIR }, "DATA_DIR cannot be used");
    },
    30_000,
  );

  test.each(names)("%s says so", async (name) => expectRefused(name, { DATA_DIR: "/dev/null/data" }, "DATA_DIR"), 30_000);

  // Root may write anywhere, so it becomes nobody for this, if it may.
  const asNobody = process.getuid?.() === 0 ? `exec setpriv --reuid=65534 --clear-groups` : undefined;
  const before = asNobody ? `${asNobody} "$@"` : ":";

  async function nobodyMayRun(): Promise<boolean> {
    const mayRun = !asNobody || (await run(programs["the services"], {}, `${asNobody} test -x "$1" && exec true`)).code === 0;
    if (!mayRun)
      console.warn("\n!!! SKIPPED: a data directory that belongs to another user: nobody may not run Bun from here.\n");
    return mayRun;
  }

  test("belongs to another user", async () => {
    if (!(await nobodyMayRun())) return;
    await using dir = await tempDir();
    chmodSync(dir.path, asNobody ? 0o700 : 0o500);
    await expectRefused("the services", { DATA_DIR: dir.path }, "may not write in", before);
  }, 30_000);

  const left = ["state/log", "state/log/cart-0", "state/log/cart-0/lock", "log.sqlite"];
  test.each(left)(
    "has %s of another user: it is named, and what to do",
    async (name) => {
      if (!(await nobodyMayRun())) return;
      await using dir = await tempDir();
      const path = join(dir.path, name);
      const isDirectory = !/lock|log\.sqlite/.test(name);
      mkdirSync(isDirectory ? path : dirname(path), { recursive: true });
      if (!isDirectory) writeFileSync(path, "");
      if (asNobody)
        for (const own of [dir.path, ...["state", "state/log", "state/log/cart-0"].map((below) => join(dir.path, below))])
          if (existsSync(own)) chownSync(own, 65534, 65534);
      if (asNobody) chownSync(path, 0, 0);
      chmodSync(path, asNobody ? 0o600 : 0o000);
      const asked = asNobody
        ? `give it to this user: chown ${isDirectory ? "-R " : ""}65534 ${path}`
        : `chmod u+rw${isDirectory ? "x" : ""} ${path}`;
      const { code, output } = await run(programs["the services"], { DATA_DIR: dir.path }, before);
      expect({ code, output }).toEqual({ code: 2, output: expect.stringContaining(asked) });
      chmodSync(path, 0o700);
    },
    30_000,
  );

  test("has a store of another user: its partition says so, and goes on when it is given to this one", async () => {
    if (!(await nobodyMayRun())) return;
    await using dir = await tempDir();
    const script = `
      import { StateDir } from "./src/runtime/store/state-dir.ts";
      import { storeAdvice } from "./src/runtime/actor/actor-errors.ts";
      const state = StateDir.claim(process.env.DATA_DIR, "log", "x", { newUuid: () => crypto.randomUUID() });
      const projection = { name: "p", version: 1, schema: "CREATE TABLE t (x INTEGER)", open: () => ({}) };
      try { state.open("x.sqlite", [projection], { logId: "log", topic: "t" }); console.log("opened"); }
      catch (e) { console.log(storeAdvice(e, state.path("x.sqlite"))); }`;
    const opened = () => run(["-e", script], { DATA_DIR: dir.path }, before);
    if (asNobody) chownSync(dir.path, 65534, 65534);
    expect(await opened()).toEqual({ code: 0, output: "opened" });
    const path = join(dir.path, "state", "log", "x-0", "x.sqlite");
    if (asNobody) chownSync(path, 0, 0);
    chmodSync(path, asNobody ? 0o644 : 0o400);
    const { output } = await opened();
    expect(output).toStartWith("this user (uid ");
    expect(output).toContain(` may not read and write ${path}, `);
    expect(output).toEndWith("; the partition then goes on by itself");
    if (asNobody) chownSync(path, 65534, 65534);
    chmodSync(path, 0o600);
    expect(await opened()).toEqual({ code: 0, output: "opened" });
  }, 30_000);
});

test.each(names)(
  "%s: a variable that is nearly a setting is refused, with the right name",
  async (name) => expectRefused(name, { KAFKA_BROKER: "127.0.0.1:1" }, "did you mean KAFKA_BROKERS?"),
  30_000,
);

test.each(["the services", "archive", "audit"] as const)(
  "%s: too few files may be opened: it is said, and how to have more",
  async (name) => {
    await using dir = await tempDir();
    await expectRefused(name, { DATA_DIR: dir.path }, "ulimit -n 4096", "ulimit -n 40");
  },
  30_000,
);

test("a HOST without an address, or that is none of this machine's, is not taken for a port that is in use", async () => {
  await using dir = await tempDir();
  for (const HOST of ["no-such-host.invalid", "256.1.1.1", "192.0.2.1", "fe80::1234"]) {
    const { code, output } = await run(programs["the services"], { DATA_DIR: dir.path, HOST });
    expect({ HOST, code, output }).toEqual({ HOST, code: 2, output: expect.stringContaining("HOST") });
    expect(output).not.toContain("Another program");
    expect(output.split("\n")).toHaveLength(1);
  }
}, 60_000);

describe("files are for their user alone", () => {
  const everyone = 0o077;
  const openToOthers = (top: string) =>
    [top, ...readdirSync(top, { recursive: true, encoding: "utf8" }).map((name) => join(top, name))]
      .filter((path) => lstatSync(path, { throwIfNoEntry: false }) && (lstatSync(path).mode & everyone) !== 0)
      .map((path) => path.slice(top.length));

  /** Starts a service as somebody does who does not think of setting the umask. */
  const withOpenUmask = async <T>(start: () => Promise<T>): Promise<T> => {
    const before = process.umask(0);
    try {
      return await start();
    } finally {
      process.umask(before);
    }
  };

  test("whatever the umask was: state, embedded log, plans and archives", async () => {
    await using dir = await tempDir();
    const DATA_DIR = join(dir.path, "data");
    await using program = await withOpenUmask(() => startProgram({ dataDir: DATA_DIR }));
    await program.ready();
    const created = await createOrder(program.cartUrl, { order_id: "1", number_of_items: 1 });
    const read = await orderDetails(program.orderUrl, "1", { "log-position": created.headers.get("log-position")! });
    expect(read.status).toBe(200);
    const archive = join(dir.path, "archive");
    const command = ["src/tools/main.ts", "archive", "--dir", archive];
    const { code, output } = await withOpenUmask(() => run(command, { DATA_DIR }));
    expect({ code, output }).toMatchObject({ code: 0 });
    for (const top of [DATA_DIR, archive]) {
      expect(readdirSync(top, { recursive: true }).length).toBeGreaterThan(2);
      expect(openToOthers(top)).toEqual([]);
    }
    expect(program.output()).not.toContain("Other users of this machine");
  }, 60_000);

  test("what an earlier run left open to others is left so, and told", async () => {
    await using dir = await tempDir();
    chmodSync(dir.path, 0o755);
    mkdirSync(join(dir.path, "state"), { mode: 0o755 });
    chmodSync(join(dir.path, "state"), 0o755);
    await using program = await startProgram({ dataDir: dir.path, env: { LOG_FORMAT: "json" } });
    await program.ready();
    const told = program
      .output()
      .split("\n")
      .filter((line) => line.includes("Other users of this machine"));
    expect(told.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ level: "warn", path: join(dir.path, "state"), msg: expect.stringContaining("chmod -R go=") }),
    ]);
    expect(lstatSync(join(dir.path, "state")).mode & 0o777).toBe(0o755);
  }, 30_000);
});

test("to listen on an IPv6 address, and to be healthy and audited there", async () => {
  if (!Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === "::1"))) {
    console.warn("\n!!! SKIPPED: to listen on an IPv6 address: this machine has none.\n");
    return;
  }
  await using dir = await tempDir();
  const [CART_PORT, ORDER_PORT] = [String(await freePort()), String(await freePort())];
  await using program = await startProgram({ dataDir: dir.path, env: { HOST: "[::1]", CART_PORT, ORDER_PORT } });
  const { PATH } = process.env;
  const healthcheck = () =>
    Bun.spawn([process.execPath, "src/healthcheck.ts"], {
      cwd: repository,
      env: { PATH, HOST: "[::1]", CART_PORT, ORDER_PORT },
    }).exited;
  let code = 1;
  for (const deadline = Date.now() + run_ms_max; code !== 0 && Date.now() < deadline; await Bun.sleep(200))
    code = await healthcheck();
  expect(await run(programs.audit, { DATA_DIR: dir.path, HOST: "::1", ORDER_PORT })).toMatchObject({ code: 0 });
  expect({ code, output: program.output() }).toMatchObject({
    code: 0,
    output: expect.stringContaining(`http://[::1]:${CART_PORT}`),
  });
}, 60_000);

test("an audit of a topic that is not there names it, and the log that it looked in, and makes none", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, "log.sqlite");
  const absent = (topic: string) => ({
    code: 2,
    output: `There is no topic ${topic} in the log (embedded in ${path}, as KAFKA_BROKERS is not set): nothing was compared.`,
  });
  expect(await run(programs.audit, { DATA_DIR: dir.path })).toEqual(absent("orders.events"));
  expect(readdirSync(dir.path)).toEqual([]);
  const mistyped = join(dir.path, "dta");
  expect((await run(programs.audit, { DATA_DIR: mistyped })).output).toContain(join(mistyped, "log.sqlite"));
  expect(readdirSync(dir.path)).toEqual([]);
  const log = openSqliteLog({ path, clock: systemClock, newUuid: () => crypto.randomUUID(), owner: "test" });
  await log.createTopic("orders.events", 1);
  await log.close();
  expect(await run(programs.audit, { DATA_DIR: dir.path, ORDERS_TOPIC: "nowhere" })).toEqual(absent("nowhere"));
}, 60_000);

test.each(["replay", "redrive", "archive"] as const)(
  "%s without any log says which it looked for, and makes none",
  async (name) => {
    await using dir = await tempDir();
    const path = join(dir.path, "log.sqlite");
    expect(await run(programs[name], { DATA_DIR: dir.path })).toEqual({
      code: 2,
      output: `There is no log (embedded in ${path}, as KAFKA_BROKERS is not set).`,
    });
    expect(readdirSync(dir.path)).toEqual([]);
    const mistyped = join(dir.path, "dta");
    expect((await run(programs[name], { DATA_DIR: mistyped })).output).toContain(join(mistyped, "log.sqlite"));
    expect(readdirSync(dir.path)).toEqual([]);
  },
);

test.each(["replay", "redrive", "archive", "audit"] as const)(
  "%s: a broker that takes connections and never answers: it is said, and it ends with 2",
  async (name) => {
    await using dir = await tempDir();
    using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const args = { replay: ["--dry-run"], redrive: ["--dry-run"], archive: ["--direct"], audit: [] }[name];
    const env = { DATA_DIR: dir.path, KAFKA_BROKERS: `127.0.0.1:${silent.port}` };
    expect(await run([...programs[name], ...args], env)).toEqual({
      code: 2,
      output: expect.stringContaining(`127.0.0.1:${silent.port}`),
    });
  },
  60_000,
);

test("the health check of a container whose settings are wrong says which", () => {
  const { PATH } = process.env;
  const env = { PATH, KAFKA_BROKER: "a:1" };
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, "src/healthcheck.ts"], { cwd: repository, env });
  expect({ exitCode, said: String(stdout) }).toEqual({
    exitCode: 1,
    said: expect.stringContaining("did you mean KAFKA_BROKERS?"),
  });
  expect(String(stderr)).toBe("");
});
