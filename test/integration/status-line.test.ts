import { expect, test } from "bun:test";
import { freePorts } from "../support/brokers/ports.ts";
import { createOrder } from "../support/http/http.ts";
import { startProgram } from "../support/programs/processes.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { spawnTied } from "../support/programs/tied-process.ts";
import { waitUntil } from "../support/wait-until.ts";

const start_ms_max = 30_000;
const script = Bun.which("script");
if (script === null)
  console.warn("\n!!! SKIPPED: the status line on a terminal: there is no `script` on PATH (Debian's bsdutils).\n");

test.skipIf(script === null && !process.env["CI"])(
  "on a terminal the last line tells orders, rate and lag, below the log's lines",
  async () => {
    if (script === null) throw new Error("With CI set, this test must run, but there is no `script` on PATH.");
    await using dir = await tempDir();
    const [cartPort, orderPort] = (await freePorts(2)) as [number, number];
    const { PATH, HOME } = process.env;
    const env = { PATH, HOME, CART_PORT: String(cartPort), ORDER_PORT: String(orderPort), DATA_DIR: dir.path };
    const command = `stty cols 100; exec ${process.execPath} src/main.ts both`;
    const tied = spawnTied([script, "-qefc", command, "/dev/null"], { env });
    const says = (text: string) =>
      waitUntil(
        () => `for ${text} in:\n${tied.output()}`,
        () => tied.output().includes(text),
        { wait_ms_max: start_ms_max },
      );
    await says("\r\x1b[K0 orders · 0/s · lag 0");
    const create = (order_id: string) => createOrder(`http://127.0.0.1:${cartPort}`, { order_id, number_of_items: 1 });
    await waitUntil("for a create", async () => (await create("1")).status !== 503);
    await says("\r\x1b[K1 order · 0/s · lag 0");
    // The rate covers a whole second.
    await Bun.sleep(1_500);
    await create("2");
    await says("\r\x1b[K2 orders · 1/s · lag 0");
    tied.kill("SIGTERM");
    await tied.exited;
  },
  start_ms_max,
);

test(
  "through a pipe there are whole lines of JSON alone",
  async () => {
    await using program = await startProgram();
    await program.ready();
    await Bun.sleep(500);
    const lines = program.output().trimEnd().split("\n");
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) expect(typeof (JSON.parse(line) as { msg: unknown }).msg).toBe("string");
    expect(program.output()).not.toContain("\x1b");
  },
  start_ms_max,
);
