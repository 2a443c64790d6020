import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "../support/brokers/ports.ts";
import { startProgram } from "../support/programs/processes.ts";
import { repository } from "../support/programs/repository.ts";
import { spawnTied } from "../support/programs/tied-process.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";
import { startNameServer } from "./name-server.ts";

const TIMEOUT_MS = 60_000;
/** In place of a status, where the connection ended before the answer. */
const BROKEN_OFF = 0;
const isPossible = Bun.which("haproxy") !== null;
if (!isPossible)
  console.warn(
    "\n!!! SKIPPED, THIS IS NOT PROVED HERE: the real proxy of compose.yaml before instances that come and go: haproxy is not on PATH.\n",
  );

/** The proxy's configuration with other ports. */
function configuration(cartPort: number, ordersPort: number, instancePort: number, nameServerPort: number): string {
  const changes: [string, string][] = [
    ["bind :8000", `bind 127.0.0.1:${cartPort}`],
    ["bind :8001", `bind 127.0.0.1:${ordersPort}`],
    ["cart:8000", `cart:${instancePort}`],
    ["127.0.0.11:53", `127.0.0.1:${nameServerPort}`],
  ];
  return changes.reduce(
    (text, [from, to]) => {
      expect(text.split(from)).toHaveLength(2);
      return text.replace(from, to);
    },
    readFileSync(join(repository, "deploy/haproxy.cfg"), "utf8"),
  );
}

test.skipIf(!isPossible)(
  "instances come and go behind the proxy, and requests find those that are there",
  async () => {
    await using data = await tempDir();
    await using directory = await tempDir();
    const [port, ordersPort, instancePort] = (await freePorts(3)) as [number, number, number];
    const names = await startNameServer("cart");
    const config = join(directory.path, "haproxy.cfg");
    writeFileSync(config, configuration(port, ordersPort, instancePort, names.port));
    const proxy = spawnTied(["haproxy", "-db", "-f", config]);
    const url = `http://127.0.0.1:${port}`;
    let id = 0;
    const create = async () =>
      fetch(`${url}/create-order`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ order_id: String(++id), number_of_items: 1 }),
      });
    const start = (HOST: string) =>
      startProgram({ role: "producer", dataDir: data.path, env: { HOST, CART_PORT: String(instancePort) } });
    const untilReady = (host: string) =>
      waitUntil(
        `for the instance at ${host}`,
        async () => (await fetch(`http://${host}:${instancePort}/health/ready`).catch(() => undefined))?.ok,
        { wait_ms_max: 20_000 },
      );
    const takenAt = async (host: string) =>
      /route="\/create-order",status="200".* (\d+)$/m.exec(
        await (await fetch(`http://${host}:${instancePort}/metrics`)).text(),
      )?.[1];
    try {
      const none = await waitUntil("for the proxy to listen", () => create().catch(() => undefined));
      expect(none.status).toBe(503);
      expect(await none.json()).toMatchObject({ title: "No instance is ready", status: 503 });
      expect(none.headers.get("content-type")).toBe("application/problem+json");
      expect(none.headers.get("retry-after")).toBe("1");

      await using first = await start("127.0.0.1");
      await untilReady("127.0.0.1");
      names.set(["127.0.0.1"]);
      await waitUntil(
        () => `for the proxy to find it. It said:\n${proxy.output()}`,
        async () => (await create()).ok,
      );

      // One more; requests are dealt out to both.
      await using second = await start("127.0.0.2");
      names.set(["127.0.0.1", "127.0.0.2"]);
      await untilReady("127.0.0.2");
      const over = new AbortController();
      const statuses = new Map<number, number>();
      const clients = Array.from({ length: 4 }, async () => {
        while (!over.signal.aborted) {
          const status = (await create().catch(() => undefined))?.status ?? BROKEN_OFF;
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
      });
      await waitUntil("for the second instance to get requests", async () => (await takenAt("127.0.0.2")) !== undefined);
      expect(second.output()).not.toContain("error");

      // The first one goes: what was begun there is finished, and what comes then goes to the other.
      first.kill("SIGTERM");
      expect(await first.exited()).toEqual({ code: 0, signal: null });
      names.set(["127.0.0.2"]);
      await Bun.sleep(1_000);
      over.abort();
      await Promise.all(clients);
      const others = [...statuses].filter(([status]) => status !== 200);
      expect(statuses.get(200)).toBeGreaterThan(100);
      // What was under way to an instance as it stopped is refused by it, or broken off.
      for (const [status] of others) expect([BROKEN_OFF, 502, 503]).toContain(status);
      expect(others.reduce((sum, [, times]) => sum + times, 0)).toBeLessThanOrEqual(clients.length);
      expect((await create()).status).toBe(200);
    } finally {
      proxy.kill("SIGKILL");
      names.stop();
    }
  },
  TIMEOUT_MS,
);
