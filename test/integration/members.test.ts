import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createOrder } from "../support/http/http.ts";
import { rawConnection } from "../support/http/raw-connection.ts";
import { freePort, freePorts } from "../support/brokers/ports.ts";
import { clientPorts, isRunning, memberPids } from "../support/programs/member-processes.ts";
import { type Program, type ProgramOptions, startProgram } from "../support/programs/processes.ts";
import { repository } from "../support/programs/repository.ts";
import { runBounded } from "../support/programs/tied-process.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 60_000;
const MEMBERS = 3;

interface SetHealth {
  readonly status: string;
  readonly partitions: readonly { readonly member: number; readonly partition: number }[];
  readonly members: readonly {
    readonly shares: boolean;
    readonly member: number;
    readonly state: string;
    readonly restarts: number;
    readonly status?: string;
    readonly url?: string;
  }[];
}

const healthOf = async (url: string) => (await (await fetch(`${url}/health/ready`)).json()) as SetHealth;

/** Waits until each member listens on the shared port of the cart service, which every member has. */
const allShare = (program: Program, restarts: readonly number[] = [0, 0, 0]) =>
  waitUntil(
    () => `for all members to be ready. The program said:\n${program.output()}`,
    async () => {
      const { status, members } = await healthOf(program.cartUrl);
      return status === "ready" && members.every((one, at) => one.shares && one.restarts === restarts[at]);
    },
    { wait_ms_max: 30_000 },
  );

const startMembers = (options: ProgramOptions = {}) =>
  startProgram({ ...options, env: { MEMBERS: String(MEMBERS), LOG_FORMAT: "json", ...options.env } });

describe("three members behind one port", () => {
  let program: Program;
  beforeAll(async () => {
    program = await startMembers();
    await program.live();
    await allShare(program);
  }, TIMEOUT_MS);
  afterAll(() => program[Symbol.asyncDispose]());

  test("take and answer orders there, and the port is ready with the partitions of all", async () => {
    expect((await createOrder(program.cartUrl, { order_id: "1", number_of_items: 2 })).status).toBe(200);
    const details = await waitUntil("for the order", async () => {
      const answer = await fetch(`${program.orderUrl}/order-details?orderId=ORD-1`);
      return answer.status === 200 && answer;
    });
    expect(((await details.json()) as { order: { orderId: string } }).order.orderId).toBe("ORD-1");
    const { partitions, members } = await healthOf(program.orderUrl);
    expect(partitions.map(({ partition }) => partition).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 12 }, (_, n) => n),
    );
    expect(members.map(({ member, state }) => [member, state])).toEqual([0, 1, 2].map((member) => [member, "listening"]));
  });

  test("count together on the shared port, and each for itself on its own", async () => {
    const total = (text: string) =>
      [...text.matchAll(/^http_request_duration_seconds_count\{.*route="\/create-order".* (\d+)$/gm)]
        .map(([, count]) => Number(count))
        .reduce((sum, count) => sum + count, 0);
    const before = total(await (await fetch(`${program.cartUrl}/metrics`)).text());
    const connections = await Promise.all(Array.from({ length: 12 }, () => rawConnection(program.cartUrl)));
    for (const [at, connection] of connections.entries())
      expect(await connection.ask("POST /create-order", `{"order_id":"${100 + at}","number_of_items":1}`)).toBe(200);
    for (const connection of connections) connection.close();
    // Longer than an answer is given again.
    await Bun.sleep(300);
    for (let times = 0; times < 20; times++) {
      const text = await (await fetch(`${program.cartUrl}/metrics`, { keepalive: false })).text();
      expect(total(text) - before).toBe(12);
      expect(text.match(/^orders_member_up\{.* 1$/gm)).toHaveLength(MEMBERS);
    }
    const { members } = await healthOf(program.cartUrl);
    const own = await Promise.all(members.map(async ({ url }) => total(await (await fetch(`${url}/metrics`)).text())));
    expect(own.reduce((sum, count) => sum + count, 0) - before).toBe(12);
    expect(own.filter((count) => count > 0).length).toBeGreaterThan(1);
  });

  test("give metrics that Prometheus can read", async () => {
    if (Bun.which("promtool") === null) {
      console.warn("\n!!! SKIPPED, THIS IS NOT PROVED HERE: promtool reads the metrics of a set: it is not on PATH.\n");
      return;
    }
    for (const url of [program.cartUrl, program.orderUrl]) {
      const check = Bun.spawn(["promtool", "check", "metrics"], {
        stdin: await fetch(`${url}/metrics`),
        stdout: "pipe",
        stderr: "pipe",
      });
      const said = (await new Response(check.stdout).text()) + (await new Response(check.stderr).text());
      expect({ said, code: await check.exited }).toEqual({ said: expect.any(String), code: 0 });
    }
  });

  test("write log lines that have their numbers", () => {
    const lines = program
      .output()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { component?: string; member?: number });
    const components = new Map(lines.map(({ component, member }) => [`${component} ${member}`, true]));
    for (const member of [0, 1, 2])
      expect(components.has(`cart ${member}`) || components.has(`order-service ${member}`)).toBe(true);
    expect(components.has("supervisor undefined")).toBe(true);
  });

  test("keep the port for themselves: another set that would share it is refused", async () => {
    const CART_PORT = new URL(program.cartUrl).port;
    await using second = await startMembers({ role: "producer", env: { CART_PORT } });
    expect((await second.exited()).code).toBe(2);
    expect(second.output().trim()).toBe(
      `Another program listens on 127.0.0.1:${CART_PORT}. Stop it, or set CART_PORT to another port.`,
    );
  });

  test("are healthy for the image's health check", async () => {
    // Where nothing listens on the order service's port, the check takes the container for a cart's.
    const ORDER_PORT = String(await freePort());
    const CART_PORT = new URL(program.cartUrl).port;
    const run = await runBounded([process.execPath, `${repository}/src/healthcheck.ts`], 20_000, {
      ...process.env,
      CART_PORT,
      ORDER_PORT,
    });
    expect(run).toMatchObject({ ok: true });
  });
});

test(
  "kill -9 of a member under load breaks its own connections alone, and the port answers throughout",
  async () => {
    await using program = await startMembers({ role: "producer" });
    await program.ready();
    await allShare(program);
    const acknowledged: number[] = [];
    const broken = new Set<number>();
    const over = new AbortController();
    let id = 0;
    const connections = await Promise.all(Array.from({ length: 30 }, () => rawConnection(program.cartUrl)));
    const load = connections.map(async (connection) => {
      while (!over.signal.aborted) {
        const order = ++id;
        const status = await connection.ask("POST /create-order", `{"order_id":"${order}","number_of_items":1}`);
        if (status === undefined) {
          broken.add(connection.port);
          return;
        }
        expect(status).toBe(200);
        acknowledged.push(order);
      }
    });
    /** Connections that were made one after the other, and did not get an answer. */
    let unanswered = 0;
    const newcomers = (async () => {
      while (!over.signal.aborted) {
        const status = await rawConnection(program.cartUrl).then(
          async (connection) => {
            const answered = await connection.ask("GET /health/live");
            connection.close();
            return answered;
          },
          () => undefined,
        );
        if (status === undefined) unanswered++;
        else expect(status).toBe(200);
      }
    })();

    await Bun.sleep(500);
    const victim = memberPids(program.pid).get(1)!;
    const victims = connections.map(({ port }) => port).filter((port) => clientPorts(victim).has(port));
    expect(victims.length).toBeGreaterThan(0);
    expect(victims.length).toBeLessThan(connections.length);
    const before = acknowledged.length;
    process.kill(victim, "SIGKILL");
    await waitUntil("for the connections to the member to break", () => broken.size >= victims.length);
    await allShare(program, [0, 1, 0]);
    over.abort();
    await Promise.all([...load, newcomers]);

    expect(broken).toEqual(new Set(victims));
    expect(unanswered).toBeLessThanOrEqual(1);
    expect(acknowledged.length).toBeGreaterThan(before);
    expect(memberPids(program.pid).get(1)).not.toBe(victim);
    // What was acknowledged is kept: the order exists.
    for (const order of acknowledged.filter((_, at) => at % Math.ceil(acknowledged.length / 50) === 0))
      expect((await createOrder(program.cartUrl, { order_id: String(order), number_of_items: 1 })).status).toBe(409);
    for (const connection of connections) connection.close();
  },
  TIMEOUT_MS,
);

describe("the end", () => {
  const allEnd = (pids: Iterable<number>) => waitUntil("for all members to end", () => [...pids].every((pid) => !isRunning(pid)));

  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s stops all members in good order",
    async (signal) => {
      await using program = await startMembers();
      await program.live();
      await allShare(program);
      const pids = memberPids(program.pid);
      expect(pids.size).toBe(MEMBERS);
      program.kill(signal);
      expect(await program.exited()).toEqual({ code: 0, signal: null });
      await allEnd(pids.values());
      for (const member of [0, 1, 2]) expect(program.output()).toMatch(new RegExp(`"member":${member},[^\\n]*"msg":"stopped"`));
    },
    TIMEOUT_MS,
  );

  test(
    "kill -9 of the supervisor ends all members, and the port is free",
    async () => {
      await using program = await startMembers();
      await program.live();
      await allShare(program);
      const pids = memberPids(program.pid);
      program.kill("SIGKILL");
      await program.exited();
      await allEnd(pids.values());
      for (const url of [program.cartUrl, program.orderUrl]) await expect(fetch(url)).rejects.toThrow();
    },
    TIMEOUT_MS,
  );

  test(
    "kill -9 of the supervisor while members start ends them as well",
    async () => {
      await using program = await startMembers();
      const pids = await waitUntil("for the members' processes", () => {
        const found = memberPids(program.pid);
        return found.size === MEMBERS && found;
      });
      program.kill("SIGKILL");
      await program.exited();
      await allEnd(pids.values());
    },
    TIMEOUT_MS,
  );

  test(
    "where no member can begin it ends with 2 and says why; where one can, that one works",
    async () => {
      // The members' own ports are known, and another program has them.
      const [free] = (await freePorts(1)) as [number];
      const own = Array.from({ length: 8 }, (_, n) => free + n);
      const listen = (port: number) => Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
      const takenByOthers = [own[0]!, own[2]!].map(listen);
      try {
        const env = { MEMBER_PORT_MIN: String(free), MEMBERS: "2" };
        await using none = await startMembers({ role: "producer", env });
        expect((await none.exited()).code).toBe(2);
        for (const port of [own[0], own[2]])
          expect(none.output()).toContain(`Another program listens on 127.0.0.1:${port}. Stop it, or set MEMBER_PORT_MIN`);
        takenByOthers.pop()!.stop(true);
        await using one = await startMembers({ role: "producer", env });
        await one.ready();
        expect((await createOrder(one.cartUrl, { order_id: "1", number_of_items: 1 })).status).toBe(200);
        expect((await healthOf(one.cartUrl)).members.map(({ state }) => state)).toEqual(["ended", "listening"]);
        expect((await healthOf(`http://127.0.0.1:${own[2]}`)).status).toBe("ready");
      } finally {
        for (const listener of takenByOthers) listener.stop(true);
      }
    },
    TIMEOUT_MS,
  );

  test("a member's number given by hand is refused with a sentence", async () => {
    const command = [process.execPath, `${repository}/src/main.ts`, "producer", "--member=0"];
    const run = await runBounded(command, 20_000, { ...process.env, CART_PORT: String(await freePort()) });
    expect(run.ok).toBe(false);
    expect(run.output.trim()).toBe("--member is for processes that MEMBERS starts: set MEMBERS to a number instead.");
  });
});
