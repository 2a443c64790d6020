import { expect, test } from "bun:test";
import { copyFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { damage, STORE_FILES } from "../support/stores/damaged-store.ts";
import { createOrder, orderDetails } from "../support/http/http.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { smallDisk } from "../support/stores/small-disk.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 60_000;
const ORDERS = 300;
const DISK_BYTES = 12 * 1024 * 1024;
const env = { TOPIC_PARTITIONS: "2", LOG_FORMAT: "json" };

const ids = Array.from({ length: ORDERS }, (_, n) => `ORD-${n}`);

const created = async (program: Program, order_id: string) =>
  (await createOrder(program.cartUrl, { order_id, number_of_items: 3 })).status;

const readable = (program: Program, orderId: string) =>
  waitUntil(`${orderId} to be readable`, async () => (await orderDetails(program.orderUrl, orderId)).status === 200);

/** The stores below a data directory: an index and the orders of each partition. */
const stores = (dataDir: string): string[] =>
  readdirSync(join(dataDir, "state"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".sqlite"))
    .map((name) => join(dataDir, "state", name));

test.each(STORE_FILES)(
  "stores whose %s is damaged are set aside, said and rebuilt; no order is denied or created again",
  async (file) => {
    const dir = await tempDir();
    {
      await using before = await startProgram({ env, dataDir: dir.path });
      await before.ready();
      for (const id of ids) expect(await created(before, id)).toBe(200);
      await readable(before, ids.at(-1) as string);
      before.kill("SIGTERM");
      await before.exited();
    }
    const files = stores(dir.path);
    expect(files).toHaveLength(4);
    const damaged = files.filter((path) => damage(file, path)).length;
    await using program = await startProgram({ env, dataDir: dir.path });
    await program.live();
    for (const id of ids) {
      expect([409, 503]).toContain(await created(program, id));
      expect([200, 503]).toContain((await orderDetails(program.orderUrl, id)).status);
    }
    await program.ready();
    for (const id of ids) {
      expect([id, await created(program, id)]).toEqual([id, 409]);
      expect([id, (await orderDetails(program.orderUrl, id)).status]).toEqual([id, 200]);
    }
    const aside = readdirSync(join(dir.path, "state"), { recursive: true, encoding: "utf8" });
    expect(aside.filter((name) => /\.sqlite\.set-aside-\d+$/.test(name))).toHaveLength(damaged);
    expect(program.output().match(/set aside, as it was not usable; it is rebuilt from the log/g)).toHaveLength(damaged);
    await dir[Symbol.asyncDispose]();
  },
  TIMEOUT_MS,
);

test.each(["removed", "emptied", "exchanged for another"])(
  "an embedded log that was %s while its state is there: nothing is denied or created again, and all is as before once it is back",
  async (how) => {
    await using dir = await tempDir();
    await using other = await tempDir();
    const run = async (dataDir: string, body: (program: Program) => Promise<void>) => {
      await using program = await startProgram({ env, dataDir });
      await body(program);
      program.kill("SIGTERM");
      await program.exited();
    };
    const creating = (...orderIds: string[]) => {
      return async (program: Program) => {
        await program.ready();
        for (const id of orderIds) expect(await created(program, id)).toBe(200);
        for (const id of orderIds) await readable(program, id);
      };
    };
    await run(dir.path, creating("ORD-1", "ORD-2"));
    await run(other.path, creating("ORD-3"));
    const log = join(dir.path, "log.sqlite");
    renameSync(log, `${log}.kept`);
    if (how === "emptied") writeFileSync(log, "");
    if (how === "exchanged for another") copyFileSync(join(other.path, "log.sqlite"), log);
    await run(dir.path, async (program) => {
      await program.live();
      await waitUntil(
        "it is said",
        () => program.output().split("is another one than that of which there is state").length === 3,
      );
      expect(program.output()).toContain("put the other's in their place");
      for (const id of ["ORD-1", "ORD-2"])
        expect([await created(program, id), (await orderDetails(program.orderUrl, id)).status]).toEqual([503, 503]);
    });
    renameSync(`${log}.kept`, log);
    await run(dir.path, async (program) => {
      await program.ready();
      expect(await created(program, "ORD-1")).toBe(409);
      expect((await orderDetails(program.orderUrl, "ORD-2")).status).toBe(200);
    });
    rmSync(log);
    rmSync(join(dir.path, "state"), { recursive: true });
    await run(dir.path, creating("ORD-1"));
  },
  TIMEOUT_MS,
);

const probed = smallDisk(DISK_BYTES);
const noDisk = "unavailable" in probed;
if (noDisk) console.warn(`\n!!! A full disk cannot be tested: ${probed.unavailable}\n`);
else probed[Symbol.dispose]();

// With CI set the test has to run, so without the small disk it fails there.
test.skipIf(noDisk && process.env["CI"] === undefined)(
  "a full disk, log and stores: 503 within the bound, nothing acknowledged is lost, and it goes on when there is room",
  async () => {
    const full = smallDisk(DISK_BYTES);
    if ("unavailable" in full) throw new Error(full.unavailable);
    using _ = full;
    await using program = await startProgram({ env, dataDir: full.path });
    await program.ready();
    const acknowledged: string[] = [];
    for (const id of ids.slice(0, 20)) if ((await created(program, id)) === 200) acknowledged.push(id);
    expect(acknowledged).toHaveLength(20);
    await full.ballast.fill();
    const statuses: number[] = [];
    for (let n = 0; n < 2_000 && statuses.filter((status) => status === 503).length < 5; n++) {
      const status = await created(program, `9${n}`);
      statuses.push(status);
      if (status === 200) acknowledged.push(`ORD-9${n}`);
    }
    expect(statuses.slice(-5)).toEqual([503, 503, 503, 503, 503]);
    expect((await orderDetails(program.orderUrl, "4711")).status).not.toBe(200);
    await full.ballast.remove();
    await waitUntil("creates again", async () => (await created(program, String(Math.floor(Math.random() * 1e9)))) === 200);
    await program.ready();
    for (const id of acknowledged) await readable(program, id);
    for (const id of acknowledged.slice(0, 20)) expect(await created(program, id)).toBe(409);
  },
  TIMEOUT_MS,
);
