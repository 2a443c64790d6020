import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createOrder, updateOrder } from "../support/http/http.ts";
import { freePort } from "../support/brokers/ports.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { type TempDir, tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";

const deploy = join(import.meta.dir, "../../deploy");
const ALERT_TESTS = ["alerts_test.yaml", "alerts_days_test.yaml"];
const promtool = Bun.which("promtool");
const WITHOUT_PROMTOOL = "there is no promtool on PATH (Debian has it in the package prometheus): nothing has checked them.";
if (promtool === null) console.warn(`\n!!! The alert rules cannot be tested: ${WITHOUT_PROMTOOL}\n`);

const scrape = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text();

/** The sum of the series of `name` whose labels hold all of `labels`. */
const sumOf = (text: string, name: string, labels: Readonly<Record<string, string>> = {}): number =>
  text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`))
    .filter((line) => Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);

describe("the numbers of a running program", () => {
  let program: Program;
  let snapshots: TempDir;
  beforeAll(async () => {
    snapshots = await tempDir();
    program = await startProgram({ env: { SNAPSHOT_URL: `file://${snapshots.path}`, SNAPSHOT_WAIT_MS: "1000" } });
    await program.ready();
  });
  afterAll(async () => {
    await program[Symbol.asyncDispose]();
    await snapshots[Symbol.asyncDispose]();
  });

  test("what is done is counted: requests, appends, records by what became of them", async () => {
    const { cartUrl, orderUrl } = program;
    for (let n = 1; n <= 20; n++) await createOrder(cartUrl, { order_id: String(n), number_of_items: 1 });
    await createOrder(cartUrl, { order_id: "1", number_of_items: 1 });
    await updateOrder(cartUrl, { order_id: "2", status: "shipped" });
    await fetch(`${cartUrl}/made-up-by-a-client-${crypto.randomUUID()}`, { method: "DELETE" });
    await waitUntil(
      () => "for 21 records to be applied",
      async () => sumOf(await scrape(orderUrl), "orders_records_total", { outcome: "applied" }) === 21,
    );
    const cart = await scrape(cartUrl);
    const requests = (labels: Readonly<Record<string, string>>) => sumOf(cart, "http_request_duration_seconds_count", labels);
    expect(requests({ method: "POST", route: "/create-order", status: "200" })).toBe(20);
    expect(requests({ method: "POST", route: "/create-order", status: "409" })).toBe(1);
    expect(requests({ method: "PUT", route: "/update-order", status: "200" })).toBe(1);
    expect(requests({ method: "other", route: "other", status: "404" })).toBe(1);
    expect(cart).not.toContain("made-up-by-a-client");
    expect(sumOf(cart, "http_request_duration_seconds_bucket", { route: "/create-order", status: "200", le: "+Inf" })).toBe(20);
    expect(sumOf(cart, "orders_append_records_sum")).toBe(21);
    expect(sumOf(cart, "orders_append_duration_seconds_count", { outcome: "acknowledged" })).toBe(21);
    expect(sumOf(cart, "orders_append_outcome_unknown_total")).toBe(0);
    const orders = await scrape(orderUrl);
    expect(sumOf(orders, "orders_partition_lag_records")).toBe(0);
    expect(sumOf(orders, "orders_partition_state", { state: "running" })).toBe(12);
    expect(sumOf(orders, "orders_partition_state", { state: "halted" })).toBe(0);
    expect(sumOf(orders, "orders_transaction_duration_seconds_count")).toBeGreaterThan(0);
    expect(sumOf(orders, "event_loop_delay_seconds_count")).toBeGreaterThan(0);
  });

  test("the dashboard and the alert rules ask only for numbers that there are", async () => {
    for (const url of [program.cartUrl, program.orderUrl])
      await waitUntil("a snapshot", async () => (await scrape(url)).includes("\norders_snapshot_age_seconds{"));
    await using members = await startProgram({ role: "producer", env: { MEMBERS: "2" } });
    await members.ready();
    const exposed = new Set<string>();
    for (const url of [program.cartUrl, program.orderUrl, members.cartUrl])
      for (const line of (await scrape(url)).split("\n")) {
        // Some numbers have no series before there is something to count, such as a standby.
        const name = /^(?:# TYPE )?([a-z_]+)(?:\{| )/.exec(line)?.[1];
        if (name) exposed.add(name);
      }
    const asked = new Set<string>();
    for (const file of ["grafana-dashboard.json", "alerts.yaml", ...ALERT_TESTS]) {
      const text = readFileSync(join(deploy, file), "utf8");
      for (const [name] of text.matchAll(/\b(?:orders|http|process|event_loop)_[a-z_]+\b/g)) asked.add(name);
    }
    expect(asked.size).toBeGreaterThan(20);
    expect([...asked].filter((name) => !exposed.has(name))).toEqual([]);
    // Whatever is counted is also shown; otherwise nobody would see it.
    const shown = [...exposed].map((name) => name.replace(/_(bucket|sum|count)$/, ""));
    const dashboard = readFileSync(join(deploy, "grafana-dashboard.json"), "utf8");
    expect(shown.filter((name) => !dashboard.includes(name))).toEqual([]);
  });

  test("each alert rule is tested", () => {
    const rules = readFileSync(join(deploy, "alerts.yaml"), "utf8");
    const tests = ALERT_TESTS.map((file) => readFileSync(join(deploy, file), "utf8")).join("");
    const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);
    expect(alerts.length).toBeGreaterThan(10);
    expect(alerts.filter((name) => !tests.includes(name))).toEqual([]);
  });

  // With CI set the test has to run, so without promtool it fails there.
  test.skipIf(promtool === null && process.env["CI"] === undefined)(
    "promtool objects neither to the metrics nor to the rules, and the rules do what they are tested for",
    async () => {
      if (promtool === null) throw new Error(`With CI set, this must run, but ${WITHOUT_PROMTOOL}`);
      const check = (args: readonly string[], stdin = "") => {
        const { exitCode, stdout, stderr } = Bun.spawnSync([promtool, ...args], { cwd: deploy, stdin: Buffer.from(stdin) });
        expect({ args, exitCode, said: exitCode === 0 ? "" : String(stdout) + String(stderr) }).toEqual({
          args,
          exitCode: 0,
          said: "",
        });
      };
      for (const url of [program.cartUrl, program.orderUrl]) check(["check", "metrics"], await scrape(url));
      check(["check", "rules", "alerts.yaml"]);
      check(["test", "rules", ...ALERT_TESTS]);
    },
    60_000,
  );
});

test("a program whose brokers do not answer says so where people look: from the start, which broker, and since when", async () => {
  const port = await freePort();
  await using program = await startProgram({ env: { KAFKA_BROKERS: `127.0.0.1:${port}` } });
  for (const url of [program.cartUrl, program.orderUrl]) {
    const health = async () => {
      const response = await fetch(`${url}/health/ready`).catch(() => undefined);
      const { reason, since } = ((await response?.json()) ?? {}) as { reason?: string; since?: string };
      return { status: response?.status, reason, since };
    };
    await waitUntil(
      () => "for a reason",
      async () => (await health()).reason !== undefined,
    );
    const { status, reason, since } = await health();
    expect(status).toBe(503);
    expect(Date.now() - Date.parse(since ?? "")).toBeWithin(0, 60_000);
    expect(reason).toMatch(new RegExp(`^The log cannot be used: .*127\\.0\\.0\\.1:${port}`));
    expect(sumOf(await scrape(url), "orders_log_unreadable")).toBe(1);
  }
});
